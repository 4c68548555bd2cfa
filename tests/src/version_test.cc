#include "src/version.h"

#include <gtest/gtest.h>

namespace tensord {
namespace {

TEST(Version, IsHexOfFixedLength) {
  const std::string version = ComputeVersion({{"a", 1, "digest", "tag"}});
  EXPECT_EQ(version.size(), 32u);
  EXPECT_EQ(version.find_first_not_of("0123456789abcdef"), std::string::npos);
}

// Replicas compare versions: the spelling must not change from one release to the next.
TEST(Version, IsTheSameInEveryRelease) {
  EXPECT_EQ(ComputeVersion({{"a", 1, "digest", "tag"}}), "9954b688383f57baa8073c6439846c94");
}

TEST(Version, DoesNotDependOnTheOrderOfFiles) {
  EXPECT_EQ(ComputeVersion({{"a", 1, "d", "t"}, {"b", 2, "e", "u"}}),
            ComputeVersion({{"b", 2, "e", "u"}, {"a", 1, "d", "t"}}));
}

TEST(Version, DependsOnEveryField) {
  const std::string version = ComputeVersion({{"a", 1, "d", "t"}});
  EXPECT_NE(ComputeVersion({{"b", 1, "d", "t"}}), version);
  EXPECT_NE(ComputeVersion({{"a", 2, "d", "t"}}), version);
  EXPECT_NE(ComputeVersion({{"a", 1, "e", "t"}}), version);
  EXPECT_NE(ComputeVersion({{"a", 1, "d", "u"}}), version);
  EXPECT_NE(ComputeVersion({}), version);
}

TEST(Version, FieldsDoNotRunIntoEachOther) {
  EXPECT_NE(ComputeVersion({{"a", 1, "dt", ""}}), ComputeVersion({{"a", 1, "d", "t"}}));
}

}  // namespace
}  // namespace tensord
