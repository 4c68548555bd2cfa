#include "src/slice_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/error.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

constexpr std::nullopt_t kNone = std::nullopt;
constexpr DimRange kWhole;

Slice Text(absl::string_view text) { return Slice::Parse(text).value(); }
Slice Dims(std::vector<Dim> dims) { return Slice{std::move(dims), kNone}; }

// "first+count*step" of each range, loops from outermost to innermost, then "@offset run".
std::string Nest(const SlicePlan& plan) {
  std::string text;
  for (const SlicePlan::Loop& loop : plan.loops()) {
    for (const SlicePlan::Range& range : loop.ranges) {
      text += std::to_string(range.first_bytes) + "+" + std::to_string(range.count) + "*" +
              std::to_string(range.step_bytes) + " ";
    }
    text += "| ";
  }
  return text + "@" + std::to_string(plan.offset_bytes()) + " " + std::to_string(plan.run_bytes());
}

struct GoodRow {
  std::string name;
  Dtype dtype;
  Shape shape;
  Slice slice;
  Shape result;
  uint64_t size_bytes;
  std::string nest;
};

class GoodPlan : public testing::TestWithParam<GoodRow> {};

TEST_P(GoodPlan, HasShapeSizeAndNest) {
  const GoodRow& row = GetParam();
  const auto plan = SlicePlan::Create(row.dtype, row.shape, row.slice);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->shape(), row.result);
  EXPECT_EQ(plan->size_bytes(), row.size_bytes);
  EXPECT_EQ(Nest(*plan), row.nest);
  EXPECT_EQ(plan->is_contiguous(), plan->loops().empty());
}

std::string NameOf(const testing::TestParamInfo<GoodRow>& row) { return row.param.name; }

constexpr Dtype kU8 = Dtype::kU8;
constexpr Dtype kF4 = Dtype::kF4;
constexpr Dtype kF6 = Dtype::kF6E2M3;

INSTANTIATE_TEST_SUITE_P(
    Merging, GoodPlan,
    testing::Values(
        GoodRow{"WholeTensorIsOneRun", Dtype::kF32, {2, 3}, Text(""), {2, 3}, 24, "@0 24"},
        GoodRow{"Scalar", Dtype::kI64, {}, Text(""), {}, 8, "@0 8"},
        GoodRow{"ScalarWithEllipsis", Dtype::kI64, {}, Text("..."), {}, 8, "@0 8"},
        GoodRow{"RowsAreOneRun", kU8, {8, 4}, Text("[2:5]"), {3, 4}, 12, "@8 12"},
        GoodRow{"IndexDropsDimension", kU8, {8, 4}, Text("[-1]"), {4}, 4, "@28 4"},
        GoodRow{"OneElement", kU8, {8, 4}, Text("[1, 2]"), {}, 1, "@6 1"},
        GoodRow{"Column", kU8, {8, 4}, Text("[:, 2]"), {8}, 8, "0+8*4 | @2 1"},
        GoodRow{"Columns", kU8, {8, 4}, Text("[:, 1:3]"), {8, 2}, 16, "0+8*4 | @1 2"},
        GoodRow{"EllipsisIsAllOfTheMiddle",
                kU8,
                {2, 3, 4},
                Text("[1, ..., 3]"),
                {3},
                3,
                "0+3*4 | @15 1"},
        GoodRow{"EllipsisThatIsNothing", kU8, {2, 3}, Text("[1, ..., 2]"), {}, 1, "@5 1"},
        GoodRow{"ExtentOneIsTransparent", kU8, {4, 1, 3}, Text("[:, 0]"), {4, 3}, 12, "@0 12"},
        GoodRow{
            "OuterLoopsMerge", kU8, {5, 6, 4}, Text("[:, :, :2]"), {5, 6, 2}, 60, "0+30*4 | @0 2"},
        GoodRow{"EvenStepMergesOverRows", kU8, {3, 4}, Text("[:, ::2]"), {3, 2}, 6, "0+6*2 | @0 1"},
        GoodRow{"OddStepDoesNot", kU8, {3, 5}, Text("[:, ::2]"), {3, 3}, 9, "0+3*5 | 0+3*2 | @0 1"},
        GoodRow{
            "ReversedIsOneLoop", kU8, {3, 4}, Text("[::-1, ::-1]"), {3, 4}, 12, "11+12*-1 | @0 1"},
        GoodRow{"ReversedRows", kU8, {3, 4}, Text("[::-1]"), {3, 4}, 12, "8+3*-4 | @0 4"},
        GoodRow{"OneRowOfAStepIsARun", kU8, {9, 4}, Text("[5:9:7]"), {1, 4}, 4, "@20 4"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Clamping, GoodPlan,
    testing::Values(
        GoodRow{"StopBeyond", kU8, {3}, Text("[1:99]"), {2}, 2, "@1 2"},
        GoodRow{"StartBeyond", kU8, {3}, Text("[7:]"), {0}, 0, "@0 0"},
        GoodRow{"StartFarBelow", kU8, {3}, Text("[-99:2]"), {2}, 2, "@0 2"},
        GoodRow{"StopFarBelowReversed", kU8, {3}, Text("[:-99:-1]"), {3}, 3, "2+3*-1 | @0 1"},
        GoodRow{"StartBeyondReversed", kU8, {3}, Text("[99::-2]"), {2}, 2, "2+2*-2 | @0 1"},
        GoodRow{"StartAfterStop", kU8, {3}, Text("[2:1]"), {0}, 0, "@0 0"},
        GoodRow{"SmallestStep", kU8, {3}, Text("[::-9223372036854775808]"), {1}, 1, "@2 1"},
        GoodRow{"LargestStep", kU8, {3}, Text("[1::9223372036854775807]"), {1}, 1, "@1 1"},
        GoodRow{"EmptyDimension", kU8, {0, 3}, Text("[:, 1]"), {0}, 0, "@0 0"},
        GoodRow{"EmptyDimensionReversed", kU8, {0}, Text("[5::-1]"), {0}, 0, "@0 0"},
        GoodRow{"EmptyKeepsOtherExtents",
                kU8,
                {2, 3, 4},
                Text("[0:1, 1:1, 0:1]"),
                {1, 0, 1},
                0,
                "@0 0"},
        GoodRow{"EmptyTensorBeyond64Bits",
                Dtype::kU64,
                {0, UINT64_MAX, UINT64_MAX},
                Text("[:, -1:]"),
                {0, 1, UINT64_MAX},
                0,
                "@0 0"},
        GoodRow{"EmptyTensorReversedBeyond64Bits",
                Dtype::kU64,
                {UINT64_MAX, 0},
                Text("[::-1]"),
                {UINT64_MAX, 0},
                0,
                "@0 0"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Lists, GoodPlan,
    testing::Values(GoodRow{"AnyOrder",
                            kU8,
                            {10},
                            Dims({DimRanges{{{6, 9, kNone}, {0, 2, kNone}}}}),
                            {5},
                            5,
                            "6+3*1 0+2*1 | @0 1"},
                    GoodRow{"OverlapIsAllowed",
                            kU8,
                            {4, 2},
                            Dims({DimRanges{{{0, 2, kNone}, {1, 3, kNone}}}}),
                            {4, 2},
                            8,
                            "0+2*2 2+2*2 | @0 2"},
                    GoodRow{"EmptyRangesVanish",
                            kU8,
                            {9},
                            Dims({DimRanges{{{3, 3, kNone}, {1, 2, kNone}, {9, kNone, kNone}}}}),
                            {1},
                            1,
                            "@1 1"},
                    GoodRow{"RangesThatContinueEachOtherJoin",
                            kU8,
                            {4, 3},
                            Dims({DimRanges{{{0, 1, kNone}, {1, 4, kNone}}}}),
                            {4, 3},
                            12,
                            "@0 12"},
                    GoodRow{"NoRanges", kU8, {4, 3}, Dims({DimRanges{}}), {0, 3}, 0, "@0 0"},
                    GoodRow{"Grid",
                            kU8,
                            {4, 5},
                            Dims({DimRanges{{{3, 4, kNone}, {0, 1, kNone}}},
                                  DimRanges{{{0, 1, kNone}, {4, 5, kNone}}}}),
                            {2, 2},
                            4,
                            "15+1*0 0+1*0 | 0+1*0 4+1*0 | @0 1"},
                    GoodRow{"SteppedAndNegative",
                            kU8,
                            {6},
                            Dims({DimRanges{{{kNone, kNone, -2}, {0, 4, 2}}}}),
                            {5},
                            5,
                            "5+3*-2 0+2*2 | @0 1"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Shards, GoodPlan,
    testing::Values(
        GoodRow{"Even", kU8, {8, 2}, Dims({Shard{1, 4, 0, 0, false}}), {2, 2}, 4, "@4 4"},
        GoodRow{"OnlyOne", kU8, {7}, Dims({Shard{0, 1, 0, 0, false}}), {7}, 7, "@0 7"},
        GoodRow{"UnevenAllowedFirst", kU8, {7}, Dims({Shard{0, 4, 1, 0, true}}), {2}, 2, "@0 2"},
        GoodRow{"UnevenAllowedLast", kU8, {7}, Dims({Shard{3, 4, 1, 0, true}}), {1}, 1, "@6 1"},
        GoodRow{"MultipleRoundsUp", kU8, {10}, Dims({Shard{1, 2, 4, 0, false}}), {2}, 2, "@8 2"},
        GoodRow{
            "MultipleLeavesLastEmpty", kU8, {10}, Dims({Shard{2, 3, 5, 0, false}}), {0}, 0, "@0 0"},
        GoodRow{"PaddedSize", kU8, {10}, Dims({Shard{1, 2, 0, 16, false}}), {2}, 2, "@8 2"},
        GoodRow{"PaddedSizeBelowExtentCounts",
                kU8,
                {10},
                Dims({Shard{0, 3, 0, 4, false}}),
                {4},
                4,
                "@0 4"},
        GoodRow{"EmptyDimensionIsEven", kU8, {0}, Dims({Shard{2, 3, 0, 0, false}}), {0}, 0, "@0 0"},
        GoodRow{"LargestNumbers",
                kU8,
                {10},
                Dims({Shard{UINT32_MAX - 1, UINT32_MAX, UINT32_MAX, UINT64_MAX, false}}),
                {0},
                0,
                "@0 0"},
        GoodRow{"LargestPadding",
                kU8,
                {10},
                Dims({Shard{0, 1, UINT32_MAX, UINT64_MAX, false}}),
                {10},
                10,
                "@0 10"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    SubByte, GoodPlan,
    testing::Values(
        GoodRow{"WholeRows", kF4, {3, 2}, Text("[1:]"), {2, 2}, 2, "@1 2"},
        GoodRow{"PairsOfNibbles", kF4, {2, 4}, Text("[:, 2:]"), {2, 2}, 2, "0+2*2 | @1 1"},
        GoodRow{"OddRowsTogether", kF4, {2, 3}, Text(""), {2, 3}, 3, "@0 3"},
        GoodRow{"StepOverOddRows", kF4, {4, 3}, Text("[::2, :2]"), {2, 2}, 2, "0+2*3 | @0 1"},
        GoodRow{"HalvesMakeAByte", kF4, {4, 3}, Text("[1::2, 1:]"), {2, 2}, 2, "1+2*3 | @1 1"},
        GoodRow{"SixBitsByFour", kF6, {2, 8}, Text("[:, 4:]"), {2, 4}, 6, "0+2*6 | @3 3"},
        GoodRow{"ListOfPairs",
                kF4,
                {8},
                Dims({DimRanges{{{6, 8, kNone}, {0, 4, kNone}}}}),
                {6},
                3,
                "3+1*0 0+2*1 | @0 1"},
        GoodRow{"EmptyIsFine", kF4, {2, 3}, Text("[1, 1:1]"), {0}, 0, "@0 0"}),
    NameOf);

struct BadRow {
  std::string name;
  Dtype dtype;
  Shape shape;
  Slice slice;
  ErrorReason reason;
  std::string message;
};

class BadPlan : public testing::TestWithParam<BadRow> {};

TEST_P(BadPlan, SaysWhatWasAskedWhereAndOfWhatExtent) {
  const auto plan = SlicePlan::Create(GetParam().dtype, GetParam().shape, GetParam().slice);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(ErrorReasonName(ReasonOf(plan.status())), ErrorReasonName(GetParam().reason));
  EXPECT_THAT(std::string(plan.status().message()), HasSubstr(GetParam().message));
}

constexpr auto kBadSlice = ErrorReason::kBadSlice;
constexpr auto kOutOfBounds = ErrorReason::kIndexOutOfBounds;

INSTANTIATE_TEST_SUITE_P(
    Rows, BadPlan,
    testing::Values(
        BadRow{"IndexBeyond",
               kU8,
               {2, 4},
               Text("[0, 9]"),
               kOutOfBounds,
               "index 9 leaves dimension 1 of extent 4"},
        BadRow{"IndexAtExtent",
               kU8,
               {4},
               Text("[4]"),
               kOutOfBounds,
               "index 4 leaves dimension 0 of extent 4"},
        BadRow{"IndexBelow",
               kU8,
               {4},
               Text("[-5]"),
               kOutOfBounds,
               "index -5 leaves dimension 0 of extent 4"},
        BadRow{"IndexBehindEllipsis",
               kU8,
               {2, 3, 4},
               Text("[..., 4]"),
               kOutOfBounds,
               "index 4 leaves dimension 2 of extent 4"},
        BadRow{"IndexOfEmpty",
               kU8,
               {0},
               Text("[0]"),
               kOutOfBounds,
               "index 0 leaves dimension 0 of extent 0"},
        BadRow{"IndexOfEmptyTensor",
               kU8,
               {0, 3},
               Text("[:, 3]"),
               kOutOfBounds,
               "index 3 leaves dimension 1 of extent 3"},
        BadRow{"SmallestIndex",
               kU8,
               {4},
               Dims({DimIndex{INT64_MIN}}),
               kOutOfBounds,
               "index -9223372036854775808 leaves dimension 0 of extent 4"},
        BadRow{"TooManyIndices",
               kU8,
               {3, 4},
               Text("[0, 0, 0]"),
               kBadSlice,
               "3 indices are too many for a tensor of rank 2 and shape [3, 4]"},
        BadRow{"ScalarHasNoDimension",
               kU8,
               {},
               Text("[:]"),
               kBadSlice,
               "1 indices are too many for a tensor of rank 0 and shape []"},
        BadRow{"EllipsisDoesNotMakeRoom",
               kU8,
               {3},
               Text("[0, ..., 0]"),
               kBadSlice,
               "2 indices are too many"},
        BadRow{"EllipsisBehindTheEnd",
               kU8,
               {3, 3},
               Slice{{kWhole}, 2},
               kBadSlice,
               "an ellipsis before entry 2 of 1"},
        BadRow{"StepZero",
               kU8,
               {3, 4},
               Text("[:, ::0]"),
               kBadSlice,
               "step 0 on dimension 1 of extent 4"},
        BadRow{"StepZeroOfEmpty",
               kU8,
               {0},
               Text("[::0]"),
               kBadSlice,
               "step 0 on dimension 0 of extent 0"},
        BadRow{"StepZeroInAList",
               kU8,
               {3},
               Dims({DimRanges{{{0, 0, 0}}}}),
               kBadSlice,
               "step 0 on dimension 0 of extent 3"},
        BadRow{"ListTooLong",
               kU8,
               {3},
               Dims({DimRanges{{kWhole, {0, 1, kNone}}}}),
               kBadSlice,
               "a list of 2 ranges selects more elements than dimension 0 of extent 3 has"},
        BadRow{"ShardOfNone",
               kU8,
               {4},
               Dims({Shard{0, 0, 0, 0, false}}),
               kBadSlice,
               "shard of dimension 0: count is 0, wanted is at least 1"},
        BadRow{"ShardBeyond",
               kU8,
               {4},
               Dims({Shard{2, 2, 0, 0, true}}),
               kBadSlice,
               "shard 2 of 2 of dimension 0 of extent 4"},
        BadRow{"Uneven",
               kU8,
               {2, 7},
               Dims({kWhole, Shard{0, 4, 1, 0, false}}),
               ErrorReason::kUnevenShard,
               "shard 0 of 4: dimension 1 of extent 7 does not divide into 4 equal parts"},
        BadRow{"HalfAByte",
               kF4,
               {2, 2},
               Text("[:, 0:1]"),
               kBadSlice,
               "MisalignedSlice: [:, 0:1] of a tensor of dtype F4 and shape [2, 2] needs a run of "
               "4 bits that does not begin and end on a byte"},
        BadRow{"OddRow", kF4, {2, 3}, Text("[0]"), kBadSlice, "needs a run of 12 bits"},
        BadRow{"ByteOffByHalf", kF4, {8}, Text("[1:3]"), kBadSlice, "needs a run of 8 bits"},
        BadRow{"ReversedNibbles", kF4, {2}, Text("[::-1]"), kBadSlice, "needs a run of 4 bits"},
        BadRow{
            "EveryOtherRowIsOff", kF4, {2, 3}, Text("[:, :2]"), kBadSlice, "needs a run of 8 bits"},
        BadRow{"ThreeOfSixBits", kF6, {8}, Text("[:3]"), kBadSlice, "needs a run of 18 bits"},
        BadRow{"OddRangeInAList",
               kF4,
               {8},
               Dims({DimRanges{{{6, 8, kNone}, {0, 3, kNone}}}}),
               kBadSlice,
               "needs a run of 12 bits"},
        BadRow{"OddBeginInAList",
               kF4,
               {8},
               Dims({DimRanges{{{5, 7, kNone}, {0, 2, kNone}}}}),
               kBadSlice,
               "does not begin and end on a byte"},
        BadRow{"SizeOverflows",
               Dtype::kU64,
               {uint64_t{1} << 32, uint64_t{1} << 32},
               Text("[0]"),
               kBadSlice,
               "the size in bits of shape [4294967296, 4294967296] overflows"}),
    [](const auto& row) { return row.param.name; });

TEST(SlicePlan, ErrorsCarryDimensionAndExtent) {
  const auto plan = SlicePlan::Create(kU8, {2, 4}, Text("[0, 9]"));
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ErrorDetails(plan.status()).at("dimension"), "1");
  EXPECT_EQ(ErrorDetails(plan.status()).at("extent"), "4");
  const auto misaligned = SlicePlan::Create(kF4, {2}, Text("[0]"));
  EXPECT_EQ(ErrorDetails(misaligned.status()).at("variant"), "MisalignedSlice");
}

TEST(SlicePlan, RankHasALimitUnlessTheSliceIsWhole) {
  const Shape shape(kMaxRank + 1, 1);
  EXPECT_TRUE(SlicePlan::Create(kU8, shape, Text("")).ok());
  EXPECT_TRUE(SlicePlan::Create(kU8, shape, Text("...")).ok());
  const auto plan = SlicePlan::Create(kU8, shape, Text("[0]"));
  EXPECT_EQ(ReasonOf(plan.status()), kBadSlice);
  EXPECT_THAT(std::string(plan.status().message()),
              HasSubstr("a tensor of rank 65 can only be read whole"));
  EXPECT_TRUE(SlicePlan::Create(kU8, Shape(kMaxRank, 1), Text("[0]")).ok());
}

TEST(SlicePlan, FullRankNestsOneLoopPerDimension) {
  // Extents of 3 with every other position: no two loops merge.
  const Shape shape(20, 3);
  const auto plan = SlicePlan::Create(kU8, shape, Dims({20, DimRange{kNone, kNone, 2}}));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->loops().size(), 20u);
  EXPECT_EQ(plan->size_bytes(), 1u << 20);
}

}  // namespace
}  // namespace tensord
