// What the connection guard has done, for Prometheus.
#pragma once

#include "server/guard_counters.h"
#include "server/metric_text.h"

namespace tensord {

void AppendGuardMetrics(const GuardCounters& counters, MetricText& text);

}  // namespace tensord
