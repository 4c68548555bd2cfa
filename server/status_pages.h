// What HTTP says: /livez /readyz /startupz /metrics.
#pragma once

#include <functional>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/http_answer.h"
#include "server/metric_text.h"
#include "server/serving_state.h"
#include "src/mutex.h"

namespace tensord {

// Thread-safe. `state` must outlive it, and so must whatever the metrics read.
class StatusPages {
 public:
  using Metrics = std::function<void(MetricText&)>;

  explicit StatusPages(const ServingState* state) : state_(state) {}

  // Families for /metrics, behind those that were added before; called for each request.
  void AddMetrics(Metrics metrics);

  // /livez is 200 as long as anybody answers; /startupz from the first readiness on; /readyz while
  // calls are welcome. Else 503 with the reason.
  HttpResponse Answer(absl::string_view path) const;

 private:
  HttpResponse AnswerMetrics() const;

  const ServingState* const state_;
  mutable Mutex mutex_;
  std::vector<Metrics> metrics_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
