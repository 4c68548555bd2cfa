#include "server/fault_metrics.h"

namespace tensord {

void AppendFaultMetrics(const FileFaults::Counts& counts, MetricText& text) {
  text.Family("tensord_file_faults_total", "counter", "Files that broke while they were read.");
  text.Sample({{"kind", FileFaultKindName(FileFault::Kind::kTruncated)}},
              static_cast<double>(counts.num_truncated));
  text.Sample({{"kind", FileFaultKindName(FileFault::Kind::kIoError)}},
              static_cast<double>(counts.num_io_errors));
  text.Sample({{"kind", FileFaultKindName(FileFault::Kind::kChanged)}},
              static_cast<double>(counts.num_changed));
  text.Counter("tensord_sigbus_total", "Lost pages of mapped files that were touched.",
               static_cast<double>(counts.num_sigbus));
}

}  // namespace tensord
