// Does something again and again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <thread>

#include "src/mutex.h"

namespace tensord {

// A thread of its own that calls a function once an interval, for as long as the object lives.
class Ticker {
 public:
  // The first call is an interval from now. `interval` is positive.
  Ticker(std::chrono::milliseconds interval, std::function<void()> on_tick);
  // Waits for a call that runs.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  // False: no more.
  bool WaitForTick();

  const std::chrono::milliseconds interval_;
  const std::function<void()> on_tick_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last, because it uses all of the above from its first moment.
};

}  // namespace tensord
