#include "src/request_id.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace tensord {
namespace {

TEST(RequestId, IsShortAndSafe) {
  EXPECT_TRUE(IsRequestId("a"));
  EXPECT_TRUE(IsRequestId("4bf92f35-77b3.x_Z"));
  EXPECT_TRUE(IsRequestId(std::string(64, 'a')));
  EXPECT_FALSE(IsRequestId(""));
  EXPECT_FALSE(IsRequestId(std::string(65, 'a')));
  EXPECT_FALSE(IsRequestId("a b"));
  EXPECT_FALSE(IsRequestId("a\nb"));
  EXPECT_FALSE(IsRequestId("\"}"));
  EXPECT_FALSE(IsRequestId("\xc3\xa9"));
}

TEST(RequestId, IsMadeAnewEachTime) {
  std::set<std::string> made;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = MakeRequestId();
    EXPECT_TRUE(IsRequestId(id)) << id;
    made.insert(id);
  }
  EXPECT_EQ(made.size(), 1000u);
}

}  // namespace
}  // namespace tensord
