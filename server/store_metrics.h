// What is served, for Prometheus.
#pragma once

#include "server/metric_text.h"
#include "src/live_catalog.h"
#include "src/reloader.h"

namespace tensord {

// Models, files and indexes of the catalog of the moment. Before the first scan: of none.
void AppendCatalogMetrics(const LiveCatalog& live, MetricText& text);

void AppendScanMetrics(const ReloadCounters& counters, MetricText& text);

}  // namespace tensord
