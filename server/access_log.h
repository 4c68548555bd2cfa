// A log line per call.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "server/call_context.h"
#include "server/flags.h"
#include "server/token_bucket.h"
#include "src/mutex.h"

namespace tensord {

// Lines of calls that fail are limited, unless each call was asked for: whoever can connect could
// else fill a disk. Thread-safe.
class AccessLog final : public CallObserver {
 public:
  // Far more than anybody reads; of 1 KiB each they are 4 GB a day.
  static constexpr double kBurstLines = 500;
  static constexpr double kLinesPerSecond = 50;

  explicit AccessLog(AccessLogMode mode) : mode_(mode) {}

  void CallBegan(const CallRecord& /*record*/) override {}
  void BytesSent(const CallRecord& /*record*/, uint64_t /*bytes*/) override {}
  void CallEnded(const CallRecord& record, const absl::Status& status) override;

 private:
  // Whether there may be a line for a call that ended so, and then how many had none since the
  // last.
  std::optional<uint64_t> Admit(const absl::Status& status,
                                std::chrono::steady_clock::duration took);

  const AccessLogMode mode_;
  Mutex mutex_;
  TokenBucket lines_ ABSL_GUARDED_BY(mutex_){kBurstLines, kLinesPerSecond,
                                             TokenBucket::Clock::now()};
  uint64_t num_without_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tensord
