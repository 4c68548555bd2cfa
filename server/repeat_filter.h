// Keeps a fault that repeats itself from filling the log.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "src/mutex.h"

namespace tensord {

// Lets each line through once a second. Thread-safe. Remembers a fixed number of lines: two that
// share a place in its table do not know of each other, and pass.
class RepeatFilter {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kPause{1};

  // Whether a line of this hash may pass at `now`, and then how many of it were held back since it
  // passed last.
  std::optional<uint64_t> Admit(uint64_t hash, Clock::time_point now);

 private:
  struct Line {
    uint64_t hash = 0;
    Clock::time_point passed;
    uint64_t num_held_back = 0;
  };

  Mutex mutex_;
  std::array<Line, 256> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
