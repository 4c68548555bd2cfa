// The server's certificate, for Prometheus.
#pragma once

#include "server/credentials.h"
#include "server/metric_text.h"

namespace tensord {

void AppendCredentialMetrics(const Credentials& credentials, MetricText& text);

}  // namespace tensord
