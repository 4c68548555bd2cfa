#include "server/turn_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "proto/status_details.h"
#include "src/error.h"

namespace tensord {
namespace {

using testing::ElementsAre;
using Buffer = BufferBudget::Buffer;
using Turn = TurnQueue::Turn;

class TurnQueueTest : public testing::Test {
 protected:
  TurnQueueTest() : budget_(*BufferBudget::Create(4 << 20)), turns_(budget_, 1) {}

  // Work of `peer` that needs no memory; streams are named by places in `names_`.
  TurnQueue::Work Work(PeerId peer, int stream, std::function<void(Turn)> run) {
    return {
        .stream = &names_[stream], .peer = peer, .cancelled = &cancelled_, .run = std::move(run)};
  }
  TurnQueue::Work Wanting(size_t size, TurnQueue::Work work) {
    work.wanted_bytes = work.least_bytes = size;
    return work;
  }
  void AwaitWaiting(size_t count) {
    while (turns_.num_waiting() != count) std::this_thread::yield();
  }

  const std::shared_ptr<BufferBudget> budget_;
  std::atomic<bool> cancelled_{false};
  std::array<char, 100> names_{};
  TurnQueue turns_;
};

TEST_F(TurnQueueTest, IdleQueueRunsWorkInTheCallersThread) {
  std::thread::id ran;
  turns_.Enter(Work(1, 0, [&](const Turn& turn) {
    EXPECT_TRUE(turn.buffer.ok());
    ran = std::this_thread::get_id();
  }));
  EXPECT_EQ(ran, std::this_thread::get_id());
}

TEST_F(TurnQueueTest, PeersTakeTurnsWhateverTheNumberOfTheirStreams) {
  std::vector<PeerId> order;
  std::promise<void> last;
  // While this runs in our thread, the others line up; then the queue's only turn is theirs.
  turns_.Enter(Work(9, 99, [&](const Turn&) {
    const auto note = [&](PeerId peer) {
      return [&, peer](const Turn&) {
        order.push_back(peer);
        if (order.size() == 8) last.set_value();
      };
    };
    for (int i = 0; i < 5; ++i) turns_.Enter(Work(1, i, note(1)));
    for (int i = 5; i < 7; ++i) turns_.Enter(Work(2, i, note(2)));
    turns_.Enter(Work(3, 7, note(3)));
    EXPECT_EQ(turns_.num_waiting(), 8u);
  }));
  last.get_future().wait();
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 1, 2, 1, 1, 1));
}

TEST_F(TurnQueueTest, WorkThatWaitsForMemoryRunsWhenItHasComeBack) {
  std::optional<Buffer> held = budget_->Take(1, 512 << 10, 512 << 10);
  std::optional<Buffer> more = budget_->Take(1, 1 << 20, 1 << 20);
  std::promise<size_t> size;
  turns_.Enter(
      Wanting(1'200'000, Work(1, 0, [&](Turn turn) { size.set_value(turn.buffer->size()); })));
  AwaitWaiting(1);
  more.reset();
  EXPECT_EQ(size.get_future().get(), size_t{1'200'000});
}

TEST_F(TurnQueueTest, PeerThatHasItsShareDoesNotHoldUpOthers) {
  std::optional<Buffer> held = budget_->Take(1, 2 << 20, 2 << 20);
  ASSERT_TRUE(held);
  turns_.Enter(Wanting(1 << 20, Work(1, 0, [](const Turn&) {})));
  EXPECT_EQ(turns_.num_waiting(), 1u);
  std::promise<void> ran;
  turns_.Enter(Wanting(1 << 20, Work(2, 1, [&](const Turn&) { ran.set_value(); })));
  ran.get_future().wait();
  held.reset();
  AwaitWaiting(0);
}

TEST_F(TurnQueueTest, FirstMessageIsRefusedWhereItWouldWaitForMemory) {
  std::optional<Buffer> held = budget_->Take(1, 2 << 20, 2 << 20);
  absl::Status refused;
  TurnQueue::Work work =
      Wanting(1 << 20, Work(1, 0, [&](const Turn& turn) { refused = turn.buffer.status(); }));
  work.may_wait = false;
  turns_.Enter(std::move(work));
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kOutOfBuffers);
  EXPECT_EQ(RetryDelay(refused), std::chrono::milliseconds(1000));
}

TEST_F(TurnQueueTest, WithdrawnWorkNeverRuns) {
  std::optional<Buffer> held = budget_->Take(1, 2 << 20, 2 << 20);
  turns_.Enter(Wanting(1 << 20, Work(1, 0, [](const Turn&) { FAIL(); })));
  EXPECT_FALSE(turns_.Withdraw(1, &names_[1]));
  EXPECT_FALSE(turns_.Withdraw(2, &names_[0]));
  EXPECT_TRUE(turns_.Withdraw(1, &names_[0]));
  EXPECT_FALSE(turns_.Withdraw(1, &names_[0]));
  EXPECT_EQ(turns_.num_waiting(), 0u);
}

TEST_F(TurnQueueTest, CancelledWorkWaitsForNothing) {
  std::optional<Buffer> held = budget_->Take(1, 2 << 20, 2 << 20);
  cancelled_ = true;
  bool ran = false;
  turns_.Enter(Wanting(1 << 20, Work(1, 0, [&](Turn turn) {
                         ran = true;
                         EXPECT_EQ(turn.buffer->size(), 0u);
                       })));
  EXPECT_TRUE(ran);
}

TEST(TurnQueue, NoMoreThanAllowedRunAtOnce) {
  const std::shared_ptr<BufferBudget> budget = *BufferBudget::Create(4 << 20);
  TurnQueue turns(budget, 2);
  const std::atomic<bool> cancelled{false};
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  std::atomic<int> done{0};
  std::array<char, 400> names{};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 100; ++i) {
        turns.Enter({.stream = &names[thread * 100 + i],
                     .peer = static_cast<PeerId>(thread),
                     .wanted_bytes = 70'000,
                     .least_bytes = 70'000,
                     .cancelled = &cancelled,
                     .run = [&](const Turn&) {
                       const int now = ++running;
                       int before = most;
                       while (before < now && !most.compare_exchange_weak(before, now)) {
                       }
                       std::this_thread::yield();
                       --running;
                       ++done;
                     }});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (done != 400) std::this_thread::yield();
  EXPECT_LE(most, 2);
}

}  // namespace
}  // namespace tensord
