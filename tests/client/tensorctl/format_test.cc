#include "client/tensorctl/format.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace tensord::ctl {
namespace {

struct SizeRow {
  std::string name;
  uint64_t bytes;
  std::string text;
};

class HumanSizeTest : public testing::TestWithParam<SizeRow> {};

TEST_P(HumanSizeTest, PicksTheUnitThatReadsBest) {
  EXPECT_EQ(HumanSize(GetParam().bytes), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, HumanSizeTest,
    testing::Values(SizeRow{"Zero", 0, "0 B"}, SizeRow{"LastByte", 1023, "1023 B"},
                    SizeRow{"FirstKib", 1024, "1.0 KiB"}, SizeRow{"Half", 1536, "1.5 KiB"},
                    SizeRow{"LastKib", 1048524, "1023.9 KiB"},
                    SizeRow{"RoundsUpAUnit", 1048575, "1.0 MiB"},
                    SizeRow{"Gpt2", 548105171, "522.7 MiB"},
                    SizeRow{"Largest", std::numeric_limits<uint64_t>::max(), "16.0 EiB"}),
    [](const auto& row) { return row.param.name; });

TEST(HumanCount, UsesPowersOfAThousand) {
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(1000), "1.0k");
  EXPECT_EQ(HumanCount(999'999), "1.0M");
  EXPECT_EQ(HumanCount(124'439'808), "124.4M");
  EXPECT_EQ(HumanCount(std::numeric_limits<uint64_t>::max()), "18.4E");
}

TEST(ShapeText, IsAPythonList) {
  EXPECT_EQ(ShapeText({}), "[]");
  EXPECT_EQ(ShapeText({0}), "[0]");
  EXPECT_EQ(ShapeText({50257, 768}), "[50257, 768]");
}

TEST(Plural, CountsOne) {
  EXPECT_EQ(Plural(0, "file"), "0 files");
  EXPECT_EQ(Plural(1, "file"), "1 file");
}

}  // namespace
}  // namespace tensord::ctl
