#include "src/crc32c.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tensord {
namespace {

absl::Span<const std::byte> Bytes(absl::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// RFC 3720, appendix B.4, and the usual check value.
struct Vector {
  const char* name;
  std::string bytes;
  uint32_t crc;
};

std::string Ascending() {
  std::string bytes;
  for (char c = 0; c < 32; ++c) bytes.push_back(c);
  return bytes;
}

class KnownVector : public testing::TestWithParam<Vector> {};

TEST_P(KnownVector, IsMetByBothForms) {
  EXPECT_EQ(ExtendCrc32c(0, Bytes(GetParam().bytes)), GetParam().crc);
  EXPECT_EQ(ExtendCrc32cPortable(0, Bytes(GetParam().bytes)), GetParam().crc);
}

INSTANTIATE_TEST_SUITE_P(Crc32c, KnownVector,
                         testing::Values(Vector{"Empty", "", 0},
                                         Vector{"Digits", "123456789", 0xE3069283},
                                         Vector{"Zeros", std::string(32, '\0'), 0x8A9136AA},
                                         Vector{"Ones", std::string(32, '\xff'), 0x62A8AB43},
                                         Vector{"Ascending", Ascending(), 0x46DD794E}),
                         [](const testing::TestParamInfo<Vector>& row) { return row.param.name; });

// Blocks of several sizes are passed side by side: every length around them.
TEST(Crc32c, BothFormsAgreeOnAnyLengthAndAlignment) {
  std::mt19937 random(8);
  std::vector<std::byte> bytes(20'000);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  for (size_t size = 0; size < bytes.size(); size += 1 + random() % 37) {
    const size_t begin = random() % std::min<size_t>(9, bytes.size() - size);
    const auto part = absl::MakeConstSpan(bytes).subspan(begin, size);
    const auto crc = static_cast<uint32_t>(random());
    ASSERT_EQ(ExtendCrc32c(crc, part), ExtendCrc32cPortable(crc, part)) << size;
  }
}

TEST(Crc32c, PiecesExtendToTheWholeInBothForms) {
  std::mt19937 random(7);
  std::vector<std::byte> bytes(4099);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  const absl::Span<const std::byte> all(bytes);
  const uint32_t whole = ExtendCrc32c(0, all);
  EXPECT_EQ(ExtendCrc32cPortable(0, all), whole);
  for (size_t cut = 0; cut <= bytes.size(); cut += 1 + random() % 13) {
    const uint32_t head = ExtendCrc32c(0, all.subspan(0, cut));
    ASSERT_EQ(ExtendCrc32c(head, all.subspan(cut)), whole) << "cut at " << cut;
    ASSERT_EQ(ExtendCrc32cPortable(head, all.subspan(cut)), whole) << "cut at " << cut;
  }
}

}  // namespace
}  // namespace tensord
