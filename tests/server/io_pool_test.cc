#include "server/io_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tensord {
namespace {

using testing::ElementsAre;

constexpr size_t kThreads = 4;

// What work waits for, as for a disk that hangs, until it is opened.
class Gate {
 public:
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  // Counts those who have come.
  void Pass() {
    std::unique_lock<std::mutex> lock(mutex_);
    ++num_waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_open_; });
  }
  void AwaitVisitors(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return num_waiting_ >= count; });
  }
  int num_visitors() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return num_waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
  int num_waiting_ = 0;
};

class IoPoolTest : public testing::Test {
 protected:
  ~IoPoolTest() override { hung_.Open(); }

  void Hang(FilePlace place, const void* owner = nullptr) {
    EXPECT_TRUE(pool().Post({.place = place, .owner = owner, .run = [this] { hung_.Pass(); }}));
  }
  // Returns once the pool has worked there.
  void Work(FilePlace place) {
    Gate done;
    done.Open();
    EXPECT_TRUE(pool().Post({.place = place, .run = [&done] { done.Pass(); }}));
    done.AwaitVisitors(1);
  }
  IoPool& pool() { return pool_; }

  Gate hung_;

 private:
  IoPool pool_{kThreads};
};

TEST_F(IoPoolTest, AHungFileOccupiesOneThread) {
  for (size_t i = 0; i < 2 * kThreads; ++i) Hang({1, 1});
  hung_.AwaitVisitors(1);
  for (uint64_t file = 2; file < 10; ++file) Work({1, file});
  EXPECT_EQ(hung_.num_visitors(), 1);
  EXPECT_EQ(pool().num_waiting(), 2 * kThreads - 1);
}

TEST_F(IoPoolTest, AHungDeviceOccupiesHalfOfTheThreads) {
  for (uint64_t file = 0; file < 2 * kThreads; ++file) Hang({1, file});
  hung_.AwaitVisitors(kThreads / 2);
  for (uint64_t device = 2; device < 10; ++device) Work({device, 1});
  EXPECT_EQ(hung_.num_visitors(), static_cast<int>(kThreads / 2));
}

TEST_F(IoPoolTest, WhatWaitedRunsOnceTheFileAnswers) {
  for (size_t i = 0; i < 5; ++i) Hang({1, 1});
  for (uint64_t file = 2; file < 20; ++file) Hang({1, file});
  hung_.Open();
  hung_.AwaitVisitors(5 + 18);
  Work({1, 1});
}

TEST_F(IoPoolTest, TheWorksOfAFileRunInOrder) {
  Hang({1, 1});
  std::vector<int> order;
  for (int i = 0; i < 4; ++i) {
    pool().Post({.place = {1, 1}, .run = [&order, i] { order.push_back(i); }});
  }
  hung_.Open();
  Work({1, 1});
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
}

TEST_F(IoPoolTest, WithdrawnWorkNeverRuns) {
  Hang({1, 1});
  std::atomic<bool> ran = false;
  const int owner = 0;
  pool().Post({.place = {1, 1}, .owner = &owner, .run = [&ran] { ran = true; }});
  EXPECT_TRUE(pool().Withdraw(&owner));
  EXPECT_FALSE(pool().Withdraw(&owner));
  hung_.Open();
  Work({1, 1});
  EXPECT_FALSE(ran);
  EXPECT_EQ(pool().num_waiting(), 0u);
}

TEST_F(IoPoolTest, RunningWorkCannotBeWithdrawn) {
  const int owner = 0;
  Hang({1, 1}, &owner);
  hung_.AwaitVisitors(1);
  EXPECT_FALSE(pool().Withdraw(&owner));
}

TEST_F(IoPoolTest, CancelledWorkIsRefused) {
  const std::atomic<bool> cancelled = true;
  EXPECT_FALSE(pool().Post({.place = {1, 1}, .cancelled = &cancelled, .run = [] { FAIL(); }}));
  EXPECT_EQ(pool().num_waiting(), 0u);
}

TEST(IoPool, HasTwoThreadsForEachProcessorAndFourAtLeast) {
  EXPECT_GE(IoPool::DefaultThreads(), IoPool::kMinThreads);
  EXPECT_GE(IoPool::DefaultThreads(), 2 * std::thread::hardware_concurrency());
}

}  // namespace
}  // namespace tensord
