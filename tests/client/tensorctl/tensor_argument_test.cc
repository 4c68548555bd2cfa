#include "client/tensorctl/tensor_argument.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "src/glob.h"

namespace tensord::ctl {
namespace {

using testing::HasSubstr;

TEST(SplitTensorArgument, CutsAtTheLastBracket) {
  const auto split = SplitTensorArgument("a[0].b[1:2, ::3]");
  ASSERT_TRUE(split.has_value());
  EXPECT_EQ(split->tensor, "a[0].b");
  EXPECT_EQ(split->slice, "[1:2, ::3]");
}

TEST(SplitTensorArgument, KeepsWhatFollowsForTheSliceParserToRefuse) {
  EXPECT_EQ(SplitTensorArgument("w[0]x")->slice, "[0]x");
}

TEST(SplitTensorArgument, LeavesAPlainNameWhole) {
  EXPECT_FALSE(SplitTensorArgument("wte.weight").has_value());
  EXPECT_FALSE(SplitTensorArgument("").has_value());
}

TEST(LiteralPattern, MatchesTheNameAlone) {
  for (const char* name : {"w[0]", "a.*", "b{0..7}", "{x,y}", "c\\d", "?", "e, f"}) {
    const auto glob = Glob::Parse(LiteralPattern(name));
    ASSERT_TRUE(glob.ok()) << glob.status();
    EXPECT_TRUE(glob->Matches(name)) << name;
    EXPECT_FALSE(glob->Matches("a.b") || glob->Matches("b3") || glob->Matches("x")) << name;
  }
}

TEST(ParseShardArgument, ReadsDimensionRankAndCount) {
  const auto argument = ParseShardArgument("-1:3/8");
  ASSERT_TRUE(argument.ok()) << argument.status();
  EXPECT_EQ(argument->dimension, -1);
  EXPECT_EQ(argument->shard.index, 3u);
  EXPECT_EQ(argument->shard.count, 8u);
  EXPECT_EQ(argument->shard.multiple, 0u);
  EXPECT_EQ(argument->shard.padded_size, 0u);
  EXPECT_FALSE(argument->shard.allow_uneven);
}

TEST(ParseShardArgument, ReadsOptions) {
  const auto argument = ParseShardArgument("0:1/2,multiple=64,padded=50304,uneven");
  ASSERT_TRUE(argument.ok()) << argument.status();
  EXPECT_EQ(argument->shard.multiple, 64u);
  EXPECT_EQ(argument->shard.padded_size, 50304u);
  EXPECT_TRUE(argument->shard.allow_uneven);
}

struct BadRow {
  std::string name;
  std::string text;
  std::string why;
};

class BadShardTest : public testing::TestWithParam<BadRow> {};

TEST_P(BadShardTest, IsRefusedWithTheForm) {
  const auto argument = ParseShardArgument(GetParam().text);
  EXPECT_EQ(argument.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(argument.status().message(), HasSubstr(GetParam().why));
  EXPECT_THAT(argument.status().message(), HasSubstr("DIM:I/N"));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadShardTest,
    testing::Values(BadRow{"Empty", "", "no DIM:I/N"}, BadRow{"NoDimension", "1/2", "no DIM:I/N"},
                    BadRow{"WordForDimension", "x:1/2", "not a number"},
                    BadRow{"NoCount", "0:1", "no I/N"}, BadRow{"NegativeRank", "0:-1/2", "no I/N"},
                    BadRow{"RankIsCount", "0:2/2", "no part 2 of 2"},
                    BadRow{"NoRanks", "0:0/0", "no part 0 of 0"},
                    BadRow{"CountTooLarge", "0:0/4294967296", "no I/N"},
                    BadRow{"ThreeNumbers", "0:1/2/3", "no I/N"},
                    BadRow{"UnknownOption", "0:0/2,odd", "unknown option \"odd\""},
                    BadRow{"ZeroMultiple", "0:0/2,multiple=0", "multiple"},
                    BadRow{"WordForPadding", "0:0/2,padded=x", "padded"}),
    [](const auto& row) { return row.param.name; });

Slice SliceOf(std::vector<Dim> dims, std::optional<size_t> ellipsis = std::nullopt) {
  Slice slice;
  slice.dims = std::move(dims);
  slice.ellipsis = ellipsis;
  return slice;
}

ShardArgument ShardOf(int64_t dimension) { return {dimension, Shard{1, 2, 0, 0, false}}; }

TEST(ApplyShards, WithoutShardsIsTheSliceItself) {
  const auto slice = ApplyShards(SliceOf({DimIndex{1}}, 0), {}, 3);
  ASSERT_TRUE(slice.ok());
  EXPECT_EQ(slice->dims.size(), 1u);
  EXPECT_EQ(slice->ellipsis, 0u);
}

TEST(ApplyShards, CountsTheTensorsDimensionsThroughAnEllipsis) {
  const auto slice = ApplyShards(SliceOf({DimIndex{1}, DimIndex{2}}, 1), {ShardOf(-2)}, 4);
  ASSERT_TRUE(slice.ok()) << slice.status();
  ASSERT_EQ(slice->dims.size(), 4u);
  EXPECT_FALSE(slice->ellipsis.has_value());
  EXPECT_EQ(std::get<DimIndex>(slice->dims[0]).index, 1);
  EXPECT_TRUE(std::holds_alternative<DimRange>(slice->dims[1]));
  EXPECT_EQ(std::get<Shard>(slice->dims[2]).count, 2u);
  EXPECT_EQ(std::get<DimIndex>(slice->dims[3]).index, 2);
}

TEST(ApplyShards, TakesOnePerDimension) {
  const auto slice = ApplyShards(Slice(), {ShardOf(0), ShardOf(1)}, 2);
  ASSERT_TRUE(slice.ok());
  EXPECT_TRUE(std::holds_alternative<Shard>(slice->dims[0]));
  EXPECT_TRUE(std::holds_alternative<Shard>(slice->dims[1]));
  EXPECT_THAT(ApplyShards(Slice(), {ShardOf(0), ShardOf(-2)}, 2).status().message(),
              HasSubstr("dimension -2"));
}

TEST(ApplyShards, RefusesADimensionThatIsSlicedToo) {
  const auto slice = ApplyShards(SliceOf({DimRange{0, 4, std::nullopt}}), {ShardOf(0)}, 2);
  EXPECT_EQ(slice.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(slice.status().message(), HasSubstr("dimension 0"));
}

TEST(ApplyShards, RefusesADimensionBeyondTheRank) {
  EXPECT_THAT(ApplyShards(Slice(), {ShardOf(2)}, 2).status().message(), HasSubstr("rank 2"));
  EXPECT_THAT(ApplyShards(Slice(), {ShardOf(-3)}, 2).status().message(), HasSubstr("rank 2"));
  EXPECT_THAT(ApplyShards(Slice(), {ShardOf(0)}, 0).status().message(), HasSubstr("rank 0"));
}

TEST(ApplyShards, RefusesMoreIndicesThanTheRank) {
  const auto slice = ApplyShards(SliceOf({DimRange{}, DimRange{}}), {ShardOf(0)}, 1);
  EXPECT_THAT(slice.status().message(), HasSubstr("rank 1"));
}

}  // namespace
}  // namespace tensord::ctl
