// A log line per call.
#pragma once

#include "server/call_context.h"
#include "server/flags.h"

namespace tensord {

// Thread-safe.
class AccessLog final : public CallObserver {
 public:
  explicit AccessLog(AccessLogMode mode) : mode_(mode) {}

  void CallBegan(const CallRecord& /*record*/) override {}
  void BytesSent(const CallRecord& /*record*/, uint64_t /*bytes*/) override {}
  void CallEnded(const CallRecord& record, const absl::Status& status) override;

 private:
  const AccessLogMode mode_;
};

}  // namespace tensord
