// What has broken while it was served, for Prometheus.
#pragma once

#include "server/file_faults.h"
#include "server/metric_text.h"

namespace tensord {

void AppendFaultMetrics(const FileFaults::Counts& counts, MetricText& text);

}  // namespace tensord
