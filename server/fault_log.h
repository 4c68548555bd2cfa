// What the log says of files that break.
#pragma once

#include <chrono>
#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "server/file_faults.h"
#include "src/mutex.h"

namespace tensord {

// One line for a file and kind of fault in each interval, however many streams meet it, and few
// lines in all: a failing disk must not fill another. Thread-safe.
class FaultLog {
 public:
  void Report(const FileFault& fault);

 private:
  using Clock = std::chrono::steady_clock;

  // Whether the line is to be written now; counts it otherwise.
  bool Admit(const FileFault& fault, Clock::time_point now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  Clock::time_point interval_end_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<uint64_t> told_ ABSL_GUARDED_BY(mutex_);  // Hashes, of this interval.
  uint64_t num_untold_ ABSL_GUARDED_BY(mutex_) = 0;             // Since the last line.
};

}  // namespace tensord
