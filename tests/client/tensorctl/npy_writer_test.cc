#include "client/tensorctl/npy_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tensord/shape.h"

namespace tensord::ctl {
namespace {

using testing::HasSubstr;

// numpy 2 writes the same: np.lib.format.write_array_header_1_0.
TEST(NpyHeader, IsWhatNumpyWrites) {
  const auto header = NpyHeader(Dtype::kF32, {3, 4});
  ASSERT_TRUE(header.ok());
  const std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
  EXPECT_EQ(*header, std::string("\x93NUMPY\x01\x00\x76\x00", 10) + dict +
                         std::string(0x76 - dict.size() - 1, ' ') + "\n");
  EXPECT_EQ(header->size(), 128u);
}

struct ShapeRow {
  std::string name;
  Shape shape;
  std::string text;
};

class NpyShapeTest : public testing::TestWithParam<ShapeRow> {};

TEST_P(NpyShapeTest, IsAPythonTuple) {
  const auto header = NpyHeader(Dtype::kU8, GetParam().shape);
  ASSERT_TRUE(header.ok());
  EXPECT_THAT(*header, HasSubstr("'shape': " + GetParam().text + ", }"));
  EXPECT_EQ(header->size() % 64, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, NpyShapeTest,
    testing::Values(ShapeRow{"Scalar", {}, "()"}, ShapeRow{"One", {3}, "(3,)"},
                    ShapeRow{"Empty", {0, 2}, "(0, 2)"},
                    ShapeRow{"Large", {9223372036854775807u, 0}, "(9223372036854775807, 0)"}),
    [](const auto& row) { return row.param.name; });

struct DtypeRow {
  Dtype dtype;
  std::string descr;
};

class NpyDtypeTest : public testing::TestWithParam<DtypeRow> {};

TEST_P(NpyDtypeTest, HasNumpysName) {
  const auto header = NpyHeader(GetParam().dtype, {1});
  ASSERT_TRUE(header.ok());
  EXPECT_THAT(*header, HasSubstr("'descr': '" + GetParam().descr + "'"));
}

INSTANTIATE_TEST_SUITE_P(Rows, NpyDtypeTest,
                         testing::Values(DtypeRow{Dtype::kBool, "|b1"}, DtypeRow{Dtype::kU8, "|u1"},
                                         DtypeRow{Dtype::kI8, "|i1"}, DtypeRow{Dtype::kI16, "<i2"},
                                         DtypeRow{Dtype::kU16, "<u2"}, DtypeRow{Dtype::kF16, "<f2"},
                                         DtypeRow{Dtype::kI32, "<i4"}, DtypeRow{Dtype::kU32, "<u4"},
                                         DtypeRow{Dtype::kF32, "<f4"}, DtypeRow{Dtype::kC64, "<c8"},
                                         DtypeRow{Dtype::kF64, "<f8"}, DtypeRow{Dtype::kI64, "<i8"},
                                         DtypeRow{Dtype::kU64, "<u8"}),
                         [](const auto& row) { return std::string(DtypeName(row.param.dtype)); });

class NpyLacksTest : public testing::TestWithParam<Dtype> {};

TEST_P(NpyLacksTest, IsRefusedWithTheCure) {
  const auto header = NpyHeader(GetParam(), {8});
  EXPECT_EQ(header.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(header.status().message(), HasSubstr(std::string(DtypeName(GetParam()))));
  EXPECT_THAT(header.status().message(), HasSubstr(".safetensors"));
  EXPECT_THAT(header.status().message(), HasSubstr(".bin"));
}

INSTANTIATE_TEST_SUITE_P(Rows, NpyLacksTest,
                         testing::Values(Dtype::kBF16, Dtype::kF8E4M3, Dtype::kF8E5M2,
                                         Dtype::kF8E8M0, Dtype::kF8E4M3Fnuz, Dtype::kF8E5M2Fnuz,
                                         Dtype::kF4, Dtype::kF6E2M3, Dtype::kF6E3M2),
                         [](const auto& row) { return std::string(DtypeName(row.param)); });

TEST(NpyHeader, UsesVersion2BeyondTwoBytesOfLength) {
  const auto header = NpyHeader(Dtype::kU8, Shape(30'000, 1));
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->substr(0, 8), std::string("\x93NUMPY\x02\x00", 8));
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<uint8_t>((*header)[i]));
  };
  EXPECT_EQ(byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24, header->size() - 12);
  EXPECT_EQ(header->size() % 64, 0u);
}

// Every length around the limit: whatever the version, the length says what follows.
TEST(NpyHeader, LengthIsRightAroundTheLimitOfVersion1) {
  for (size_t rank = 21'770; rank < 21'850; ++rank) {
    const auto header = NpyHeader(Dtype::kU8, Shape(rank, 1));
    ASSERT_TRUE(header.ok());
    const auto byte = [&](size_t i) {
      return static_cast<size_t>(static_cast<uint8_t>((*header)[i]));
    };
    const bool first = (*header)[6] == 1;
    const size_t length = byte(8) | byte(9) << 8 | (first ? 0 : byte(10) << 16 | byte(11) << 24);
    EXPECT_EQ(length + (first ? 10 : 12), header->size()) << rank;
    EXPECT_EQ(header->size() % 64, 0u) << rank;
  }
}

TEST(NpyHeader, RefusesExtentsThatNumpyLacks) {
  const uint64_t largest = INT64_MAX;
  EXPECT_TRUE(NpyHeader(Dtype::kU8, {largest, 0}).ok());
  EXPECT_EQ(NpyHeader(Dtype::kU8, {largest + 1, 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tensord::ctl
