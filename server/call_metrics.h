// Counts calls for Prometheus.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/call_context.h"
#include "server/metric_text.h"
#include "src/mutex.h"
#include "tensord/error_reason.h"

namespace tensord {

// Models with a series of their own; further ones share the label "other", because each series
// costs the monitoring memory for weeks.
inline constexpr size_t kMaxModelLabels = 200;

// Thread-safe.
class CallMetrics final : public CallObserver {
 public:
  // Without `names_models` all models are "other": whoever reads metrics shows no credentials, and
  // must not learn from them which models there are.
  explicit CallMetrics(bool names_models = true) : names_models_(names_models) {}

  void CallBegan(const CallRecord& record) override;
  void BytesSent(const CallRecord& record, uint64_t bytes) override;
  void CallEnded(const CallRecord& record, const absl::Status& status) override;

  void AppendTo(MetricText& text) const;

 private:
  // Upper bounds in seconds, from an answer out of memory to the read of a whole large model.
  static constexpr std::array<double, 12> kBounds = {0.001, 0.0025, 0.01, 0.025, 0.1, 0.25,
                                                     1,     2.5,    10,   60,    300, 600};
  static constexpr size_t kNumCodes = 17;

  // Thread-safe.
  class Histogram {
   public:
    void Add(double seconds);
    void AppendTo(MetricText& text, absl::string_view method) const;

   private:
    std::array<std::atomic<uint64_t>, kBounds.size() + 1> counts_ = {};
    std::atomic<uint64_t> sum_us_ = 0;
  };

  struct MethodCounts {
    std::atomic<uint64_t> num_started = 0;
    std::array<std::atomic<uint64_t>, kNumCodes> num_finished = {};
    Histogram duration;
    Histogram first_byte;
  };

  // The label of a model that was found: its id, or "other".
  absl::string_view LabelOf(const std::string& model) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountReason(const CallRecord& record, ErrorReason reason);
  void AppendCalls(MetricText& text) const;
  void AppendSentBytes(MetricText& text) const;
  void AppendReasons(MetricText& text) const;

  const bool names_models_;
  std::array<MethodCounts, kNumCallMethods> methods_;
  std::array<std::atomic<uint64_t>, kNumErrorReasons> num_rejected_ = {};
  std::array<std::atomic<uint64_t>, kNumErrorReasons> num_broken_ = {};  // After the first byte.
  mutable Mutex mutex_;
  // By model; of each method.
  std::map<std::string, std::array<uint64_t, kNumCallMethods>, std::less<>> sent_bytes_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
