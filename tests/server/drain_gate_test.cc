#include "server/drain_gate.h"

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace tensord {
namespace {

TEST(DrainGate, WithNothingHeldTheActionRunsAtOnce) {
  WorkQueue queue;
  DrainGate gate(&queue);
  bool ran = false;
  EXPECT_TRUE(gate.WhenDrained([&ran] { ran = true; }));
  EXPECT_TRUE(ran);
  EXPECT_FALSE(gate.used());
}

TEST(DrainGate, TheLastReleaseRunsTheActionInTheQueue) {
  WorkQueue queue;
  DrainGate gate(&queue);
  gate.Hold();
  gate.Hold();
  std::promise<std::thread::id> ran;
  EXPECT_TRUE(gate.WhenDrained([&ran] { ran.set_value(std::this_thread::get_id()); }));
  auto future = ran.get_future();
  gate.Release();
  EXPECT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  gate.Release();
  EXPECT_NE(future.get(), std::this_thread::get_id());
  EXPECT_TRUE(gate.used());
  EXPECT_FALSE(gate.Cancel()) << "the action has run";
}

TEST(DrainGate, CancelTakesAWaitingActionBack) {
  std::optional<WorkQueue> queue(std::in_place);
  DrainGate gate(&*queue);
  bool ran = false;
  gate.Hold();
  EXPECT_TRUE(gate.WhenDrained([&ran] { ran = true; }));
  EXPECT_TRUE(gate.Cancel());
  gate.Release();
  queue.reset();  // Has run whatever was posted.
  EXPECT_FALSE(ran);
}

TEST(DrainGate, AfterCancelNoActionIsTaken) {
  WorkQueue queue;
  DrainGate gate(&queue);
  EXPECT_FALSE(gate.Cancel());
  EXPECT_FALSE(gate.WhenDrained([] { ADD_FAILURE(); }));
}

TEST(WorkQueue, RunsInOrderAndToTheEnd) {
  std::vector<int> order;
  {
    WorkQueue queue;
    for (int i = 0; i < 1000; ++i) queue.Post([&order, i] { order.push_back(i); });
  }
  ASSERT_EQ(order.size(), 1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[i], i);
}

}  // namespace
}  // namespace tensord
