#include "server/status_pages.h"

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/process_metrics.h"
#include "server/version.h"

namespace tensord {
namespace {

HttpResponse Verdict(bool is_good, const std::string& reason) {
  HttpResponse response;
  response.status = is_good ? 200 : 503;
  response.body = is_good ? "ok\n" : absl::StrCat(reason, "\n");
  return response;
}

}  // namespace

void StatusPages::AddMetrics(Metrics metrics) {
  const MutexLock lock(mutex_);
  metrics_.push_back(std::move(metrics));
}

HttpResponse StatusPages::Answer(absl::string_view path) const {
  if (path == "/livez") return Verdict(true, "");
  if (path == "/startupz") return Verdict(state_->is_started(), state_->Obstacle());
  if (path == "/metrics") return AnswerMetrics();
  if (path == "/readyz") {
    const std::string obstacle = state_->Obstacle();
    return Verdict(obstacle.empty(), obstacle);
  }
  HttpResponse response;
  response.status = 404;
  response.body = "there are /livez /readyz /startupz /metrics\n";
  return response;
}

HttpResponse StatusPages::AnswerMetrics() const {
  MetricText text;
  text.Family("tensord_build_info", "gauge", "Which release runs; always 1.");
  text.Sample({{"version", kVersion}, {"grpc_version", grpc::Version()}}, 1);
  text.Gauge("tensord_draining", "1 from the signal to stop on.", state_->is_draining() ? 1 : 0);
  AppendProcessMetrics(text);
  std::vector<Metrics> metrics;
  {
    const MutexLock lock(mutex_);
    metrics = metrics_;
  }
  for (const Metrics& append : metrics) append(text);
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = text.text();
  return response;
}

}  // namespace tensord
