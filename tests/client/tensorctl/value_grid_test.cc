#include "client/tensorctl/value_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace tensord::ctl {
namespace {

using testing::ElementsAre;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
PeekResult ResultOf(Dtype dtype, Shape shape, std::vector<T> values) {
  PeekResult result;
  result.tensor.dtype = dtype;
  result.shape = std::move(shape);
  result.values = std::move(values);
  return result;
}

TEST(ValueGrid, AlignsAMatrix) {
  EXPECT_EQ(ValueGrid(ResultOf<double>(Dtype::kF32, {2, 2}, {0.5, -1.25, 100, 1e-9})),
            "  0.5  -1.25\n"
            "  100  1e-09\n");
}

TEST(ValueGrid, TitlesEachMatrixBeyondTwoDimensions) {
  EXPECT_EQ(ValueGrid(ResultOf<int64_t>(Dtype::kI64, {2, 2, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8})),
            "[0, 0, :, :]\n1  2\n[0, 1, :, :]\n3  4\n[1, 0, :, :]\n5  6\n[1, 1, :, :]\n7  8\n");
}

TEST(ValueGrid, ShowsScalarsRowsAndNothing) {
  EXPECT_EQ(ValueGrid(ResultOf<uint64_t>(Dtype::kU8, {}, {7})), "7\n");
  EXPECT_EQ(ValueGrid(ResultOf<uint64_t>(Dtype::kU8, {3}, {1, 2, 30})), " 1   2  30\n");
  EXPECT_EQ(ValueGrid(ResultOf<uint64_t>(Dtype::kU8, {0, 3}, {})), "(no values)\n");
}

TEST(ValueGrid, EndsACutLastRow) {
  EXPECT_EQ(ValueGrid(ResultOf<uint64_t>(Dtype::kU8, {2, 2}, {1, 2, 3})), "1  2\n3\n");
}

TEST(ValueTexts, SpellsEachKind) {
  EXPECT_THAT(ValueTexts(ResultOf<uint64_t>(Dtype::kBool, {3}, {0, 1, 7})),
              ElementsAre("false", "true", "7"));
  EXPECT_THAT(ValueTexts(ResultOf<double>(Dtype::kC64, {2}, {1, -2, 0.5, 3})),
              ElementsAre("1-2j", "0.5+3j"));
  EXPECT_THAT(ValueTexts(ResultOf<double>(Dtype::kF16, {3}, {kNan, kInfinity, -kInfinity})),
              ElementsAre("nan", "inf", "-inf"));
  EXPECT_THAT(
      ValueTexts(ResultOf<int64_t>(Dtype::kI64, {1}, {std::numeric_limits<int64_t>::min()})),
      ElementsAre("-9223372036854775808"));
}

TEST(ValuesJson, IsExactAndParses) {
  EXPECT_EQ(ValuesJson(ResultOf<uint64_t>(Dtype::kU64, {1}, {18446744073709551615u})).dump(),
            "[18446744073709551615]");
  EXPECT_EQ(ValuesJson(ResultOf<double>(Dtype::kF64, {1}, {0.1})).dump(), "[0.1]");
  EXPECT_EQ(ValuesJson(ResultOf<double>(Dtype::kF16, {3}, {kNan, kInfinity, -kInfinity})).dump(),
            R"(["NaN","Infinity","-Infinity"])");
  EXPECT_EQ(ValuesJson(ResultOf<double>(Dtype::kC64, {1}, {1, -2})).dump(), "[[1.0,-2.0]]");
  EXPECT_EQ(ValuesJson(ResultOf<int64_t>(Dtype::kI8, {0}, {})).dump(), "[]");
}

}  // namespace
}  // namespace tensord::ctl
