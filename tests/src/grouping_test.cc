#include "src/grouping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tensord {
namespace {

struct NameRow {
  std::string label;
  std::string name;
  std::string group;
  uint64_t number;  // 0 of 0: no shard.
  uint64_t count;
};

class GroupOfName : public ::testing::TestWithParam<NameRow> {};

TEST_P(GroupOfName, IsRead) {
  const GroupedName grouped = GroupOf(GetParam().name);
  EXPECT_EQ(grouped.group, GetParam().group);
  EXPECT_EQ(grouped.shard.has_value(), GetParam().count != 0);
  EXPECT_EQ(grouped.shard.value_or(ShardNumber()).number, GetParam().number);
  EXPECT_EQ(grouped.shard.value_or(ShardNumber()).count, GetParam().count);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, GroupOfName,
    ::testing::Values(
        NameRow{"Single", "model.safetensors", "model", 0, 0},
        NameRow{"Variant", "model.fp16.safetensors", "model.fp16", 0, 0},
        NameRow{"Shard", "model-00003-of-00010.safetensors", "model", 3, 10},
        NameRow{"SixDigits", "model-000003-of-000163.safetensors", "model", 3, 163},
        NameRow{"OneDigit", "x-1-of-2.safetensors", "x", 1, 2},
        NameRow{"VariantBefore", "model.fp16-00001-of-00002.safetensors", "model.fp16", 1, 2},
        NameRow{"VariantAfter", "model-00001-of-00002.fp16.safetensors", "model.fp16", 1, 2},
        NameRow{"StemLikeAShard", "a-1-of-2-b-3-of-4.safetensors", "a-1-of-2-b", 3, 4},
        NameRow{"NoStem", "-1-of-2.safetensors", "-1-of-2", 0, 0},
        NameRow{"NoNumber", "a-of-2.safetensors", "a-of-2", 0, 0},
        NameRow{"NoCount", "a-1-of-.safetensors", "a-1-of-", 0, 0},
        NameRow{"OfZero", "a-1-of-0.safetensors", "a-1-of-0", 0, 0},
        NameRow{"TextBehind", "a-1-of-2x.safetensors", "a-1-of-2x", 0, 0},
        NameRow{"NineteenDigits", "a-1-of-1000000000000000000.safetensors",
                "a-1-of-1000000000000000000", 0, 0},
        NameRow{"Index", "model.safetensors.index.json", "model", 0, 0},
        NameRow{"IndexVariantBehind", "model.safetensors.index.fp16.json", "model.fp16", 0, 0},
        NameRow{"IndexVariantBefore", "model.fp16.safetensors.index.json", "model.fp16", 0, 0}),
    [](const auto& row) { return row.param.label; });

TEST(MissingShards, AreCountedAndNumbered) {
  using testing::ElementsAre;
  using Numbers = std::vector<ShardNumber>;
  EXPECT_TRUE(MissingShards("x", Numbers{{1, 2}, {2, 2}}).empty());
  EXPECT_TRUE(MissingShards("x", Numbers{{0, 2}, {1, 2}}).empty());
  EXPECT_THAT(MissingShards("x", Numbers{{1, 2}}),
              ElementsAre("1 of 2 shards of \"x\" is missing: number 2"));
  EXPECT_THAT(MissingShards("x", Numbers{{0, 3}}),
              ElementsAre("2 of 3 shards of \"x\" are missing: numbers 1, 2"));
  EXPECT_THAT(
      MissingShards("x", Numbers{{2, 2}, {1, 1000}}),
      ElementsAre("1 of 2 shards of \"x\" is missing: number 1",
                  "999 of 1000 shards of \"x\" are missing: numbers 2, 3, 4, 5, 6, 7, 8, 9, "
                  "10, 11, ..."));
}

}  // namespace
}  // namespace tensord
