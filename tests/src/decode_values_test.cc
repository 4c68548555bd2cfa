#include "src/decode_values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>

namespace tensord {
namespace {

using testing::ElementsAre;

std::vector<std::byte> Bytes(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

std::vector<double> Doubles(Dtype dtype, const std::vector<std::byte>& bytes, size_t count) {
  return std::get<std::vector<double>>(DecodeValues(dtype, bytes, count));
}

// Every pattern of `dtype`, which has 8 or 16 bits, in ascending order.
std::vector<double> AllDoubles(Dtype dtype) {
  const uint32_t width = BitsPerElement(dtype);
  std::vector<std::byte> bytes;
  for (uint32_t pattern = 0; pattern < 1u << width; ++pattern) {
    for (uint32_t shift = 0; shift < width; shift += 8) {
      bytes.push_back(static_cast<std::byte>(pattern >> shift));
    }
  }
  return Doubles(dtype, bytes, 1u << width);
}

TEST(DecodeValues, F4BeginsWithTheLowNibble) {
  EXPECT_THAT(Doubles(Dtype::kF4, Bytes({0x10, 0x32, 0x54, 0x76}), 8),
              ElementsAre(0, 0.5, 1, 1.5, 2, 3, 4, 6));
  const auto negative = Doubles(Dtype::kF4, Bytes({0x98, 0xba, 0xdc, 0xfe}), 8);
  EXPECT_THAT(negative, ElementsAre(0, -0.5, -1, -1.5, -2, -3, -4, -6));
  EXPECT_TRUE(std::signbit(negative[0]));
}

TEST(DecodeValues, F6CrossesBytesLeastSignificantFirst) {
  // Patterns 1, 2, 32, 31 as 000001 | 000010 << 6 | 100000 << 12 | 011111 << 18 = 0x7e0081.
  EXPECT_THAT(Doubles(Dtype::kF6E2M3, Bytes({0x81, 0x00, 0x7e}), 4),
              ElementsAre(0.125, 0.25, 0, 7.5));
  EXPECT_THAT(Doubles(Dtype::kF6E3M2, Bytes({0x81, 0x00, 0x7e}), 4),
              ElementsAre(0.0625, 0.125, 0, 28));
  EXPECT_THAT(Doubles(Dtype::kF6E3M2, Bytes({0x81, 0x00}), 2), ElementsAre(0.0625, 0.125));
}

struct Landmark {
  std::string name;
  Dtype dtype;
  uint32_t pattern;
  double value;
};

class Landmarks : public testing::TestWithParam<Landmark> {};

TEST_P(Landmarks, AreWhereTheFormatPutsThem) {
  const double got = AllDoubles(GetParam().dtype)[GetParam().pattern];
  if (std::isnan(GetParam().value)) {
    EXPECT_TRUE(std::isnan(got)) << got;
  } else {
    EXPECT_EQ(got, GetParam().value);
    EXPECT_EQ(std::signbit(got), std::signbit(GetParam().value));
  }
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

INSTANTIATE_TEST_SUITE_P(
    Rows, Landmarks,
    testing::Values(Landmark{"e5m2_largest", Dtype::kF8E5M2, 0x7b, 57344},
                    Landmark{"e5m2_infinity", Dtype::kF8E5M2, 0xfc, -kInfinity},
                    Landmark{"e5m2_nan", Dtype::kF8E5M2, 0x7d, kNan},
                    Landmark{"e5m2_smallest", Dtype::kF8E5M2, 0x01, 0x1p-16},
                    Landmark{"e4m3_largest", Dtype::kF8E4M3, 0x7e, 448},
                    Landmark{"e4m3_nan", Dtype::kF8E4M3, 0xff, kNan},
                    Landmark{"e4m3_smallest", Dtype::kF8E4M3, 0x81, -0x1p-9},
                    Landmark{"e4m3_negative_zero", Dtype::kF8E4M3, 0x80, -0.0},
                    Landmark{"e4m3fnuz_largest", Dtype::kF8E4M3Fnuz, 0x7f, 240},
                    Landmark{"e4m3fnuz_nan", Dtype::kF8E4M3Fnuz, 0x80, kNan},
                    Landmark{"e5m2fnuz_largest", Dtype::kF8E5M2Fnuz, 0xff, -57344},
                    Landmark{"e5m2fnuz_nan", Dtype::kF8E5M2Fnuz, 0x80, kNan},
                    Landmark{"e8m0_one", Dtype::kF8E8M0, 127, 1},
                    Landmark{"e8m0_zero", Dtype::kF8E8M0, 0, 0x1p-127},
                    Landmark{"e8m0_largest", Dtype::kF8E8M0, 254, 0x1p127},
                    Landmark{"e8m0_nan", Dtype::kF8E8M0, 255, kNan},
                    Landmark{"f16_smallest", Dtype::kF16, 1, 0x1p-24},
                    Landmark{"f16_largest", Dtype::kF16, 0x7bff, 65504},
                    Landmark{"f16_infinity", Dtype::kF16, 0x7c00, kInfinity},
                    Landmark{"f16_nan", Dtype::kF16, 0xfe00, kNan},
                    Landmark{"bf16_smallest", Dtype::kBF16, 1, 0x1p-133},
                    Landmark{"bf16_one_and_a_bit", Dtype::kBF16, 0x3f81, 1.0078125},
                    Landmark{"bf16_infinity", Dtype::kBF16, 0xff80, -kInfinity}),
    [](const auto& row) { return row.param.name; });

TEST(DecodeValues, BF16IsTheUpperHalfOfAFloat) {
  const std::vector<double> values = AllDoubles(Dtype::kBF16);
  for (uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const double wanted = std::bit_cast<float>(pattern << 16);
    if (std::isnan(wanted)) {
      EXPECT_TRUE(std::isnan(values[pattern])) << pattern;
    } else {
      EXPECT_EQ(std::bit_cast<uint64_t>(values[pattern]), std::bit_cast<uint64_t>(wanted))
          << pattern;
    }
  }
}

TEST(DecodeValues, F16IsTheCompilersHalf) {
#ifdef __FLT16_MAX__
  const std::vector<double> values = AllDoubles(Dtype::kF16);
  for (uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto bits = static_cast<uint16_t>(pattern);
    const auto wanted = static_cast<double>(std::bit_cast<_Float16>(bits));
    if (std::isnan(wanted)) {
      EXPECT_TRUE(std::isnan(values[pattern])) << pattern;
    } else {
      EXPECT_EQ(std::bit_cast<uint64_t>(values[pattern]), std::bit_cast<uint64_t>(wanted))
          << pattern;
    }
  }
#endif
}

TEST(DecodeValues, PositivePatternsAscend) {
  for (const Dtype dtype : {Dtype::kF8E5M2, Dtype::kF8E4M3, Dtype::kF8E8M0, Dtype::kF8E4M3Fnuz,
                            Dtype::kF8E5M2Fnuz, Dtype::kF16, Dtype::kBF16}) {
    const std::vector<double> values = AllDoubles(dtype);
    const size_t end = dtype == Dtype::kF8E8M0 ? 255 : values.size() / 2;
    for (size_t i = 1; i < end && !std::isnan(values[i]); ++i) {
      EXPECT_LT(values[i - 1], values[i]) << std::string(DtypeName(dtype)) << " " << i;
    }
  }
}

TEST(DecodeValues, IntegersAreExactAtTheirEnds) {
  const auto bytes = Bytes({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  //
                            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80});
  const auto ints = [&](Dtype dtype, size_t count) {
    return std::get<std::vector<int64_t>>(DecodeValues(dtype, bytes, count));
  };
  const auto uints = [&](Dtype dtype, size_t count) {
    return std::get<std::vector<uint64_t>>(DecodeValues(dtype, bytes, count));
  };
  EXPECT_THAT(ints(Dtype::kI64, 2), ElementsAre(-1, INT64_MIN));
  EXPECT_THAT(uints(Dtype::kU64, 2), ElementsAre(UINT64_MAX, 1ull << 63));
  EXPECT_THAT(ints(Dtype::kI32, 4), ElementsAre(-1, -1, 0, INT32_MIN));
  EXPECT_THAT(uints(Dtype::kU32, 4), ElementsAre(UINT32_MAX, UINT32_MAX, 0, 1u << 31));
  EXPECT_EQ(ints(Dtype::kI16, 8).back(), INT16_MIN);
  EXPECT_EQ(uints(Dtype::kU16, 8).back(), 0x8000u);
  EXPECT_EQ(ints(Dtype::kI8, 16).back(), -128);
  EXPECT_EQ(uints(Dtype::kU8, 16).back(), 0x80u);
}

TEST(DecodeValues, BoolIsTheByteAsItStands) {
  EXPECT_THAT(std::get<std::vector<uint64_t>>(DecodeValues(Dtype::kBool, Bytes({0, 1, 2, 255}), 4)),
              ElementsAre(0, 1, 2, 255));
}

TEST(DecodeValues, ComplexNumbersArePairs) {
  EXPECT_THAT(
      Doubles(Dtype::kC64, Bytes({0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f, 1, 0, 0, 0}), 2),
      ElementsAre(1, -2, 0.5, 0x1p-149));
}

TEST(DecodeValues, WideFloatsKeepTheirBits) {
  EXPECT_THAT(Doubles(Dtype::kF32, Bytes({1, 0, 0, 0, 0xff, 0xff, 0x7f, 0x7f}), 2),
              ElementsAre(0x1p-149, 0x1.fffffep127));
  EXPECT_THAT(Doubles(Dtype::kF64, Bytes({1, 0, 0, 0, 0, 0, 0, 0}), 1), ElementsAre(0x1p-1074));
}

TEST(DecodeValues, EveryDtypeDecodesNothingAndSomething) {
  const std::vector<std::byte> bytes(64, std::byte{0x01});
  for (int i = 0; i < kNumDtypes; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    const auto size = [](const Values& values) {
      return std::visit([](const auto& list) { return list.size(); }, values);
    };
    const size_t factor = dtype == Dtype::kC64 ? 2 : 1;
    EXPECT_EQ(size(DecodeValues(dtype, {}, 0)), 0u);
    EXPECT_EQ(size(DecodeValues(dtype, bytes, 8)), 8 * factor) << std::string(DtypeName(dtype));
  }
}

TEST(PackedBytes, RoundsUpToWholeBytes) {
  EXPECT_EQ(PackedBytes(Dtype::kF4, 0), 0u);
  EXPECT_EQ(PackedBytes(Dtype::kF4, 3), 2u);
  EXPECT_EQ(PackedBytes(Dtype::kF6E2M3, 3), 3u);
  EXPECT_EQ(PackedBytes(Dtype::kF6E2M3, 4), 3u);
  EXPECT_EQ(PackedBytes(Dtype::kC64, 3), 24u);
}

}  // namespace
}  // namespace tensord
