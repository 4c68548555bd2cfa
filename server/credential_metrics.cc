#include "server/credential_metrics.h"

#include <optional>

#include "absl/time/time.h"

namespace tensord {

void AppendCredentialMetrics(const Credentials& credentials, MetricText& text) {
  text.Family("tensord_tls_certificate_not_after_timestamp_seconds", "gauge",
              "When the certificate that new connections get expires; none without TLS.");
  if (const std::optional<absl::Time> end = credentials.certificate_not_after()) {
    text.Sample({}, static_cast<double>(absl::ToUnixSeconds(*end)));
  }
  text.Family("tensord_tls_reload_total", "counter",
              "Certificates and tokens that were read again, having changed.");
  text.Sample({{"result", "ok"}}, static_cast<double>(credentials.num_reloads()));
  text.Sample({{"result", "failed"}}, static_cast<double>(credentials.num_failed_reloads()));
}

}  // namespace tensord
