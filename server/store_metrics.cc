#include "server/store_metrics.h"

#include <cstdint>
#include <memory>

#include "src/catalog.h"
#include "src/model.h"

namespace tensord {
namespace {

// Of models whose headers are in memory.
struct FileCounts {
  uint64_t num_ok = 0;
  uint64_t num_invalid = 0;
  uint64_t num_unreadable = 0;
  uint64_t num_changed = 0;
  uint64_t index_bytes = 0;

  void Add(const Problem& problem) {
    switch (problem.reason) {
      case ErrorReason::kFileChanged:
        ++num_changed;
        return;
      case ErrorReason::kReadError:
      case ErrorReason::kShardMissing:
        ++num_unreadable;
        return;
      default:
        ++num_invalid;
    }
  }
  void Add(const Model& model) {
    for (const ModelFile& file : model.files()) num_ok += file.header != nullptr;
    for (const Problem& problem : model.problems()) Add(problem);
    index_bytes += model.memory_bytes();
  }
};

}  // namespace

void AppendCatalogMetrics(const LiveCatalog& live, MetricText& text) {
  const std::shared_ptr<const Catalog> catalog = live.Get();
  FileCounts counts;
  uint64_t num_models = 0;
  uint64_t mapped_bytes = 0;
  if (catalog != nullptr) {
    num_models = catalog->num_models();
    mapped_bytes = catalog->mapped_bytes();
    for (const Problem& problem : catalog->problems()) counts.Add(problem);
    for (const auto& model : catalog->LoadedModels()) counts.Add(*model);
  }
  text.Gauge("tensord_models", "Models that are listed.", static_cast<double>(num_models));
  text.Family("tensord_files", "gauge", "Files of models in memory, and problems, by state.");
  text.Sample({{"state", "ok"}}, static_cast<double>(counts.num_ok));
  text.Sample({{"state", "invalid"}}, static_cast<double>(counts.num_invalid));
  text.Sample({{"state", "unreadable"}}, static_cast<double>(counts.num_unreadable));
  text.Sample({{"state", "changed"}}, static_cast<double>(counts.num_changed));
  text.Gauge("tensord_mapped_bytes", "Of files that are kept mapped between requests.",
             static_cast<double>(mapped_bytes));
  text.Gauge("tensord_index_bytes", "Memory of parsed headers.",
             static_cast<double>(counts.index_bytes));
}

void AppendScanMetrics(const ReloadCounters& counters, MetricText& text) {
  text.Gauge("tensord_scan_duration_seconds", "How long the last scan of the stores took.",
             static_cast<double>(counters.last_scan_us) / 1e6);
  text.Gauge("tensord_scan_last_success_timestamp_seconds",
             "When the stores were scanned last without an error, since 1970.",
             static_cast<double>(counters.last_success_unix_ms) / 1e3);
}

}  // namespace tensord
