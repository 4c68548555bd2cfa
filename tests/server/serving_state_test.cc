#include "server/serving_state.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tensord {
namespace {

TEST(ServingState, IsReadyOnceAndNotWhileDraining) {
  std::vector<bool> told;
  ServingState state([&](bool welcome) { told.push_back(welcome); });
  EXPECT_EQ(state.Obstacle(), "starting: the first scan is not done");
  state.SetMissing("model \"a\" is not complete");
  EXPECT_EQ(state.Obstacle(), "starting: model \"a\" is not complete");
  EXPECT_FALSE(state.is_started());
  state.SetReady();
  state.SetReady();
  EXPECT_EQ(state.Obstacle(), "");
  state.SetDraining();
  state.SetReady();
  EXPECT_TRUE(state.is_started());
  EXPECT_EQ(state.Obstacle(), "draining");
  EXPECT_THAT(told, testing::ElementsAre(true, false));
}

}  // namespace
}  // namespace tensord
