// Tells the operator what the connection guard does.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "server/guard_counters.h"
#include "src/mutex.h"

namespace tensord {

// A line for a connection that was closed, at most one a second for each reason, whatever comes:
// the next one says how many had none. Thread-safe.
class GuardLog {
 public:
  // A GuardReport.
  void Report(CloseReason reason, const std::string& peer);

 private:
  struct Line {
    std::chrono::steady_clock::time_point last{};
    uint64_t suppressed = 0;
  };

  Mutex mutex_;
  std::array<Line, kCloseReasons.size()> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
