// Threads on which asynchronous calls run.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "src/mutex.h"

namespace tensord {

// Thread-safe. Threads start when they are first needed; work waits in order when all are busy.
class CallThreads {
 public:
  explicit CallThreads(size_t max_threads) : max_threads_(max_threads) {}

  // Runs what was added still, then joins the threads.
  ~CallThreads();

  // `work` runs once, later, on another thread. It may add more.
  void Add(absl::AnyInvocable<void()> work);

 private:
  void Run();

  const size_t max_threads_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<absl::AnyInvocable<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  size_t num_idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tensord
