// As many of gRPC's threads as there is work for.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "server/call_context.h"
#include "src/mutex.h"

namespace tensord {

// gRPC hands each event of a socket to another of its polling threads, and wakes the next before
// it looks at it. Where one call runs alone that is only cost: a quarter of the server's processor
// time, measured. So the threads that are not needed are parked: calls run on as many threads as
// there are calls, and one at least polls. A parked thread comes back when another call begins, and
// when nothing has moved for a while, because the one that polls may hang. Thread-safe.
class PollingThreads final : public CallObserver {
 public:
  // Runs a function on one of the threads that poll, some time.
  using Post = std::function<void(std::function<void()>)>;

  // How many threads poll the queue of a server with callbacks, in any process that has one:
  // completion_queue_cc.cc of gRPC 1.51.
  static size_t OfGrpc();

  // `num_threads` of them poll in this process. At least 1 is left to all objects together.
  PollingThreads(size_t num_threads, Post post);
  // Has to be Released before.
  ~PollingThreads() override = default;
  PollingThreads(const PollingThreads&) = delete;
  PollingThreads& operator=(const PollingThreads&) = delete;

  // Lets all go and parks none any more. Returns when none is parked. `post` must still work.
  void Release();

  // One thread keeps gRPC busy with calls that nobody observes yet: others are to poll for a while.
  void Crowded();

  // Those that are parked, or about to be.
  size_t num_parked() const;

  void CallBegan(const CallRecord& record) override;
  void BytesSent(const CallRecord& record, uint64_t bytes) override;
  void CallEnded(const CallRecord& record, const absl::Status& status) override;

 private:
  using Clock = std::chrono::steady_clock;

  void Balance();
  void Unpark();
  void ParkOne();
  void StayParked();
  bool WaitsOn(uint64_t* progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t num_threads_;
  const Post post_;
  std::atomic<size_t> num_calls_{0};   // That run now.
  std::atomic<uint64_t> progress_{0};  // Grows whenever a call moves.
  std::atomic<size_t> num_polling_;    // Neither parked nor about to be.
  std::atomic<Clock::rep> needed_at_;  // When all that polled were last needed.
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  size_t num_parked_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t num_called_ ABSL_GUARDED_BY(mutex_) = 0;  // Parked, but wanted back.
};

}  // namespace tensord
