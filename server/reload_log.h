// What the log says of scans.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "src/reloader.h"

namespace tensord {

// One line for the first scan and one for each that changed something or failed anew; one for each
// problem when it is met first, not again while it lasts. For one thread at a time.
class ReloadLog {
 public:
  void Report(const ReloadReport& report);

 private:
  void ReportFailure(const absl::Status& status);
  void LogTotals(const ReloadReport& report) const;
  // The number of problems; logs those that are new.
  uint64_t LogProblems(const Catalog& catalog);
  void LogProblem(const std::string& model, const Problem& problem);

  std::string failure_;  // The last scan's, empty when there was none.
  bool has_told_of_watches_ = false;
  uint64_t num_lines_ = 0;  // Of problems, for this scan.
  // Of models with problems, by id: a hash of the problems.
  absl::flat_hash_map<std::string, uint64_t> known_models_;
  absl::flat_hash_set<uint64_t> known_problems_;  // Hashes of those that belong to no model.
  uint64_t num_problems_ = 0;
};

}  // namespace tensord
