// A log line per call.
#pragma once

#include <cstdint>
#include <optional>

#include "server/call_context.h"
#include "server/flags.h"
#include "server/token_bucket.h"
#include "src/mutex.h"

namespace tensord {

// Of calls that fail at most 500 at once and 50 a second, or a client without credentials could
// fill the disk: the next line says how many had none. Thread-safe.
class AccessLog final : public CallObserver {
 public:
  explicit AccessLog(AccessLogMode mode) : mode_(mode) {}

  void CallBegan(const CallRecord& /*record*/) override {}
  void BytesSent(const CallRecord& /*record*/, uint64_t /*bytes*/) override {}
  void CallEnded(const CallRecord& record, const absl::Status& status) override;

 private:
  // How many lines were left out before this one; absent where it is left out, too.
  std::optional<uint64_t> Suppressed();

  static constexpr double kBurst = 500;
  static constexpr double kPerSecond = 50;

  const AccessLogMode mode_;
  Mutex mutex_;
  TokenBucket lines_ ABSL_GUARDED_BY(mutex_){kBurst, kPerSecond, TokenBucket::Clock::now()};
  uint64_t suppressed_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tensord
