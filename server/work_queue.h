// Runs work off gRPC's threads.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "src/mutex.h"

namespace tensord {

// One thread that runs what is posted, in order. Thread-safe.
class WorkQueue {
 public:
  WorkQueue();
  // Runs what was posted before, then joins the thread.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Never blocks for longer than a lock is held, so it may be called from a gRPC callback.
  void Post(std::function<void()> work);

 private:
  void Run();

  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last, because it uses all of the above from its first moment.
};

}  // namespace tensord
