// What the system says of this process.
#pragma once

#include "server/metric_text.h"

namespace tensord {

// The process_* families that Prometheus's own clients have, and page faults.
void AppendProcessMetrics(MetricText& text);

}  // namespace tensord
