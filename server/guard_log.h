// Tells the operator what the connection guard does.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "server/guard_counters.h"
#include "src/mutex.h"

namespace tensord {

// A line for a connection that was closed or refused, at most one a second for each reason,
// whatever comes: the next one says how many had none. Thread-safe.
class GuardLog {
 public:
  // A GuardReport.
  void Closed(CloseReason reason, const std::string& peer, const std::string& error);
  // A RefusalReport.
  void Refused(AcceptResult result, const std::string& peer);

 private:
  struct Line {
    std::chrono::steady_clock::time_point last{};
    uint64_t suppressed = 0;
  };

  // How many of its kind had no line since the last one; absent where this has none either.
  std::optional<uint64_t> Admit(size_t kind);

  Mutex mutex_;
  // One for each close reason, then one for each accept result.
  std::array<Line, kCloseReasons.size() + kAcceptResults.size()> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
