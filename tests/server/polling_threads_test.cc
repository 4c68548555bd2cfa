#include "server/polling_threads.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "src/mutex.h"

namespace tensord {
namespace {

// Threads that take posted work in turns, as those of gRPC do.
class Pollers {
 public:
  explicit Pollers(size_t num_threads) {
    for (size_t i = 0; i < num_threads; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~Pollers() {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  PollingThreads::Post post() {
    return [this](std::function<void()> work) {
      const MutexLock lock(mutex_);
      work_.push_back(std::move(work));
      changed_.notify_one();
    };
  }

  // Whether some thread still does what it is told.
  void Answer() {
    Mutex mutex;
    std::condition_variable_any changed;
    bool answered = false;
    post()([&] {
      const MutexLock lock(mutex);
      answered = true;
      changed.notify_one();
    });
    const MutexLock lock(mutex);
    while (!answered) changed.wait(mutex);
  }

 private:
  void Run() {
    for (;;) {
      std::function<void()> work;
      {
        const MutexLock lock(mutex_);
        while (work_.empty() && !stopping_) changed_.wait(mutex_);
        if (work_.empty()) return;
        work = std::move(work_.front());
        work_.pop_front();
      }
      work();
    }
  }

  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> work_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

const CallRecord kCall;

// Moves a call on until so many threads are parked.
void SendUntilParked(PollingThreads& threads, size_t num_parked) {
  while (threads.num_parked() != num_parked) {
    threads.BytesSent(kCall, 1);
    std::this_thread::yield();
  }
}

TEST(PollingThreads, OneCallNeedsOneThread) {
  Pollers pollers(4);
  PollingThreads threads(4, pollers.post());
  threads.CallBegan(kCall);
  SendUntilParked(threads, 3);
  pollers.Answer();
  threads.Release();
}

TEST(PollingThreads, AsManyPollAsThereAreCalls) {
  Pollers pollers(4);
  PollingThreads threads(4, pollers.post());
  threads.CallBegan(kCall);
  SendUntilParked(threads, 3);
  threads.CallBegan(kCall);
  threads.CallBegan(kCall);
  SendUntilParked(threads, 1);
  threads.CallEnded(kCall, absl::OkStatus());
  SendUntilParked(threads, 2);
  threads.Release();
}

TEST(PollingThreads, AParkedThreadComesBackWhenACallDoesNotMove) {
  Pollers pollers(2);
  PollingThreads threads(2, pollers.post());
  threads.CallBegan(kCall);
  SendUntilParked(threads, 1);
  while (threads.num_parked() > 0) std::this_thread::yield();
  threads.Release();
}

TEST(PollingThreads, ACrowdCallsAllBackThoughCallsMove) {
  Pollers pollers(4);
  PollingThreads threads(4, pollers.post());
  threads.CallBegan(kCall);
  SendUntilParked(threads, 3);
  while (threads.num_parked() > 0) {
    threads.Crowded();
    threads.BytesSent(kCall, 1);
  }
  threads.Release();
}

TEST(PollingThreads, TwoServersLeaveOneThreadToBoth) {
  Pollers pollers(2);
  PollingThreads one(2, pollers.post());
  PollingThreads other(2, pollers.post());
  for (int i = 0; i < 1000; ++i) {
    one.CallBegan(kCall);
    other.CallBegan(kCall);
    pollers.Answer();
    one.CallEnded(kCall, absl::OkStatus());
    other.CallEnded(kCall, absl::OkStatus());
  }
  one.Release();
  other.Release();
}

TEST(PollingThreads, ReleasedParksNoneAnyMore) {
  Pollers pollers(2);
  PollingThreads threads(2, pollers.post());
  threads.CallBegan(kCall);
  SendUntilParked(threads, 1);
  threads.Release();
  EXPECT_EQ(threads.num_parked(), 0u);
  threads.BytesSent(kCall, 1);
  EXPECT_EQ(threads.num_parked(), 0u);
}

}  // namespace
}  // namespace tensord
