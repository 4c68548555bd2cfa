#include "server/call_metrics.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace tensord {
namespace {

constexpr char kOtherModels[] = "other";

double SecondsBetween(std::chrono::steady_clock::time_point from,
                      std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

bool IsStream(CallMethod method) {
  return method == CallMethod::kGetTensor || method == CallMethod::kGetSlice ||
         method == CallMethod::kGetTensors || method == CallMethod::kReadFile;
}

// As gRPC spells them in metrics everywhere, "NOT_FOUND".
std::string CodeName(size_t code) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

}  // namespace

void CallMetrics::Histogram::Add(double seconds) {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  counts_[static_cast<size_t>(bound - kBounds.begin())]++;
  sum_us_ += static_cast<uint64_t>(seconds * 1e6);
}

void CallMetrics::Histogram::AppendTo(MetricText& text, absl::string_view method) const {
  uint64_t total = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    total += counts_[i];
    text.Sample({{"method", method}, {"le", absl::StrCat(kBounds[i])}}, static_cast<double>(total),
                "_bucket");
  }
  total += counts_.back();
  text.Sample({{"method", method}, {"le", "+Inf"}}, static_cast<double>(total), "_bucket");
  text.Sample({{"method", method}}, static_cast<double>(sum_us_) / 1e6, "_sum");
  text.Sample({{"method", method}}, static_cast<double>(total), "_count");
}

void CallMetrics::CallBegan(const CallRecord& record) {
  ++methods_[static_cast<size_t>(record.method)].num_started;
}

absl::string_view CallMetrics::LabelOf(const std::string& model) {
  if (!names_models_) return kOtherModels;
  if (sent_bytes_.count(model) > 0 || sent_bytes_.size() < kMaxModelLabels) return model;
  return kOtherModels;
}

void CallMetrics::BytesSent(const CallRecord& record, uint64_t bytes) {
  if (bytes == 0 || !record.model_found) return;
  const MutexLock lock(mutex_);
  auto found = sent_bytes_.find(LabelOf(record.model));
  if (found == sent_bytes_.end()) {
    found =
        sent_bytes_
            .emplace(std::string(LabelOf(record.model)), std::array<uint64_t, kNumCallMethods>{})
            .first;
  }
  found->second[static_cast<size_t>(record.method)] += bytes;
}

void CallMetrics::CallEnded(const CallRecord& record, const absl::Status& status) {
  MethodCounts& method = methods_[static_cast<size_t>(record.method)];
  const auto now = std::chrono::steady_clock::now();
  method.duration.Add(SecondsBetween(record.began, now));
  if (record.first_byte) method.first_byte.Add(SecondsBetween(record.began, *record.first_byte));
  if (!status.ok()) CountReason(record, ReasonOf(status));
  const auto code = static_cast<size_t>(status.raw_code());
  ++method.num_finished[code < kNumCodes ? code : static_cast<size_t>(absl::StatusCode::kUnknown)];
}

void CallMetrics::CountReason(const CallRecord& record, ErrorReason reason) {
  if (reason == ErrorReason::kUnspecified) return;
  ++(record.first_byte ? num_broken_ : num_rejected_)[static_cast<size_t>(reason)];
}

void CallMetrics::AppendTo(MetricText& text) const {
  AppendCalls(text);
  AppendSentBytes(text);
  AppendReasons(text);
}

void CallMetrics::AppendCalls(MetricText& text) const {
  const auto each = [&](const auto& append) {
    for (size_t i = 0; i < kNumCallMethods; ++i) {
      append(CallMethodName(static_cast<CallMethod>(i)), methods_[i]);
    }
  };
  text.Family("tensord_rpcs_started_total", "counter", "Calls that have begun.");
  each([&](absl::string_view name, const MethodCounts& method) {
    text.Sample({{"method", name}}, static_cast<double>(method.num_started));
  });
  text.Family("tensord_rpcs_finished_total", "counter", "Calls that have ended, by status code.");
  each([&](absl::string_view name, const MethodCounts& method) {
    for (size_t code = 0; code < kNumCodes; ++code) {
      const uint64_t count = method.num_finished[code];
      // OK from the beginning, so that a rate of errors has something to be divided by.
      if (count == 0 && code != 0) continue;
      text.Sample({{"method", name}, {"code", CodeName(code)}}, static_cast<double>(count));
    }
  });
  text.Family("tensord_rpc_duration_seconds", "histogram", "From a call's begin to its status.");
  each([&](absl::string_view name, const MethodCounts& method) {
    method.duration.AppendTo(text, name);
  });
  text.Family("tensord_first_byte_seconds", "histogram",
              "From a stream's begin to its first message.");
  for (size_t i = 0; i < kNumCallMethods; ++i) {
    const auto method = static_cast<CallMethod>(i);
    if (IsStream(method)) methods_[i].first_byte.AppendTo(text, CallMethodName(method));
  }
  text.Family("tensord_streams_active", "gauge", "Streams that run now.");
  for (size_t i = 0; i < kNumCallMethods; ++i) {
    const auto method = static_cast<CallMethod>(i);
    if (!IsStream(method)) continue;
    uint64_t finished = 0;  // Read first, so that the difference is never negative.
    for (const auto& count : methods_[i].num_finished) finished += count;
    text.Sample({{"method", CallMethodName(method)}},
                static_cast<double>(methods_[i].num_started - finished));
  }
}

void CallMetrics::AppendSentBytes(MetricText& text) const {
  text.Family("tensord_sent_bytes_total", "counter", "File data handed to the network.");
  const MutexLock lock(mutex_);
  for (const auto& [model, bytes] : sent_bytes_) {
    for (size_t i = 0; i < kNumCallMethods; ++i) {
      if (bytes[i] == 0) continue;
      const absl::string_view method = CallMethodName(static_cast<CallMethod>(i));
      text.Sample({{"method", method}, {"model", model}}, static_cast<double>(bytes[i]));
    }
  }
}

void CallMetrics::AppendReasons(MetricText& text) const {
  text.Family("tensord_requests_rejected_total", "counter",
              "Calls that failed before their first byte, by reason.");
  for (int i = 1; i < kNumErrorReasons; ++i) {
    const uint64_t count = num_rejected_[static_cast<size_t>(i)];
    if (count == 0) continue;
    text.Sample({{"reason", ErrorReasonName(static_cast<ErrorReason>(i))}},
                static_cast<double>(count));
  }
  const auto stalled = static_cast<size_t>(ErrorReason::kStalled);
  text.Counter("tensord_stream_stalls_total", "Streams ended because their client took nothing.",
               static_cast<double>(num_rejected_[stalled] + num_broken_[stalled]));
}

}  // namespace tensord
