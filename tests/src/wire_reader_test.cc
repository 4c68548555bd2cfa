#include "src/wire_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace tensord {
namespace {

using testing::HasSubstr;

// A literal with its zero bytes.
template <size_t N>
std::string Bytes(const char (&literal)[N]) {
  return std::string(literal, N - 1);
}

TEST(WireReader, ReadsEveryTypeAndTellsTheEnd) {
  const std::string message = Bytes("\x08\x96\x01") +
                              Bytes(
                                  "\x12\x03"
                                  "abc") +
                              Bytes("\x1d\x01\x02\x03\x04") +
                              Bytes("\x21\x01\x00\x00\x00\x00\x00\x00\x80");
  WireReader reader(message);
  auto field = reader.Next();
  ASSERT_TRUE(field.ok() && *field);
  EXPECT_EQ((*field)->number, 1u);
  EXPECT_EQ((*field)->value, 150u);
  field = reader.Next();
  ASSERT_TRUE(field.ok() && *field);
  EXPECT_EQ((*field)->number, 2u);
  EXPECT_EQ((*field)->type, WireField::Type::kBytes);
  EXPECT_EQ((*field)->bytes, "abc");
  field = reader.Next();
  ASSERT_TRUE(field.ok() && *field);
  EXPECT_EQ((*field)->type, WireField::Type::kFixed32);
  EXPECT_EQ((*field)->value, 0x04030201u);
  field = reader.Next();
  ASSERT_TRUE(field.ok() && *field);
  EXPECT_EQ((*field)->type, WireField::Type::kFixed64);
  EXPECT_EQ((*field)->value, 0x8000000000000001u);
  field = reader.Next();
  ASSERT_TRUE(field.ok());
  EXPECT_FALSE(*field);
}

TEST(WireReader, ReadsTheLargestValues) {
  const std::string message = Bytes("\xf8\xff\xff\xff\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  const auto field = WireReader(message).Next();
  ASSERT_TRUE(field.ok() && *field) << field.status();
  EXPECT_EQ((*field)->number, (1u << 29) - 1);
  EXPECT_EQ((*field)->value, UINT64_MAX);
}

struct Fault {
  std::string name;
  std::string message;
  std::string error;
};

class Malformed : public testing::TestWithParam<Fault> {};

TEST_P(Malformed, IsAnErrorThatSaysWhere) {
  WireReader reader(GetParam().message);
  absl::Status status;
  while (status.ok()) {
    const auto field = reader.Next();
    status = field.status();
    ASSERT_FALSE(field.ok() && !*field) << "taken for the end";
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().error));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr(" of " + std::to_string(GetParam().message.size())));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Malformed,
    testing::Values(
        Fault{"cut_tag", Bytes("\x88"), "at byte 0"},
        Fault{"no_value", Bytes("\x08"), "does not end"},
        Fault{"cut_value", Bytes("\x08\x80\x80"), "at byte 1"},
        Fault{"eleven_bytes", Bytes("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
              "does not end"},
        Fault{"above_64_bits", Bytes("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
              "does not end"},
        Fault{"number_zero", Bytes("\x00\x01"), "field number"},
        Fault{"number_too_large", Bytes("\x80\x80\x80\x80\x10\x01"), "field number"},
        Fault{"group_start", Bytes("\x0b"), "wire type 3"},
        Fault{"group_end", Bytes("\x0c"), "wire type 4"},
        Fault{"type_six", Bytes("\x0e\x00"), "wire type 6"},
        Fault{"type_seven", Bytes("\x0f\x00"), "wire type 7"},
        Fault{"cut_fixed32", Bytes("\x0d\x01\x02\x03"), "leaves the message"},
        Fault{"cut_fixed64", Bytes("\x09\x01\x02\x03\x04\x05\x06\x07"), "leaves the message"},
        Fault{"cut_bytes",
              Bytes("\x0a\x03"
                    "ab"),
              "3 bytes with 2 left"},
        Fault{"huge_bytes", Bytes("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "with 0 left"},
        Fault{"second_field", Bytes("\x08\x01\x08"), "at byte 3 of 3"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace tensord
