#include "server/access_log.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "server/log.h"
#include "src/error.h"

namespace tensord {
namespace {

// A call that takes as long is one that somebody may ask about.
constexpr std::chrono::seconds kSlow(1);

double Milliseconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

void AccessLog::CallEnded(const CallRecord& record, const absl::Status& status) {
  const auto took = std::chrono::steady_clock::now() - record.began;
  const std::optional<uint64_t> num_without = Admit(status, took);
  if (!num_without) return;
  std::vector<LogField> fields = {
      {"method", std::string(CallMethodName(record.method))},
      {"code", absl::StatusCodeToString(status.code())},
      {"peer", record.peer},
      {"request_id", record.request_id},
      {"duration_ms", Milliseconds(took)},
      {"bytes", record.sent_bytes},
  };
  if (record.first_byte) {
    fields.push_back({"first_byte_ms", Milliseconds(*record.first_byte - record.began)});
  }
  const auto add = [&](absl::string_view name, const std::string& value) {
    if (!value.empty()) fields.push_back({name, value});
  };
  add("identity", record.identity);
  add("model", record.model);
  add("version", record.version);
  add("tensor", record.tensor);
  add("slice", record.slice);
  if (!status.ok()) {
    add("reason", std::string(ErrorReasonName(ReasonOf(status))));
    add("error", std::string(status.message()));
  }
  if (*num_without > 0) fields.push_back({"calls_without_line", *num_without});
  LogInfo("call", fields);
}

std::optional<uint64_t> AccessLog::Admit(const absl::Status& status,
                                         std::chrono::steady_clock::duration took) {
  if (mode_ == AccessLogMode::kOff) return std::nullopt;
  if (mode_ == AccessLogMode::kOn) return 0;
  if (status.ok() && took < kSlow) return std::nullopt;
  const MutexLock lock(mutex_);
  if (lines_.Take(1, TokenBucket::Clock::now())) return std::exchange(num_without_, 0);
  lines_.Add(1);  // What is not there is not owed either.
  ++num_without_;
  return std::nullopt;
}

}  // namespace tensord
