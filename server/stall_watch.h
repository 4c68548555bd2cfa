// Ends streams whose clients have stopped reading.
#pragma once

#include <chrono>
#include <condition_variable>
#include <thread>

#include "server/active_streams.h"
#include "src/mutex.h"

namespace tensord {

// One thread that looks at all streams now and then, for as long as the object lives.
class StallWatch {
 public:
  // Ends with STALLED each of `streams`, which must outlive the watch, that has waited for its
  // client longer than `timeout`; up to an eighth later, or a second. 0: never.
  StallWatch(ActiveStreams* streams, std::chrono::milliseconds timeout);
  ~StallWatch();
  StallWatch(const StallWatch&) = delete;
  StallWatch& operator=(const StallWatch&) = delete;

 private:
  void Run();

  ActiveStreams* const streams_;
  const std::chrono::milliseconds timeout_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last, because it uses all of the above from its first moment.
};

}  // namespace tensord
