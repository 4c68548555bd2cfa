#include "server/reload_log.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "server/log.h"
#include "tensord/error_reason.h"

namespace tensord {
namespace {

// Problems that are logged one by one; a store with more has one cause for all of them.
constexpr uint64_t kMaxProblemLines = 1000;

uint64_t HashOf(const Problem& problem) {
  return absl::HashOf(problem.file, problem.message, static_cast<int>(problem.reason));
}

uint64_t Milliseconds(std::chrono::steady_clock::duration duration) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

void ReloadLog::Report(const ReloadReport& report) {
  if (!report.is_watch_complete && !has_told_of_watches_) {
    has_told_of_watches_ = true;
    LogWarning("not all directories are watched: some changes are seen by the periodic rescan only",
               {});
  }
  const bool has_recovered = report.status.ok() && !failure_.empty();
  ReportFailure(report.status);
  if (report.current == report.previous && !has_recovered) return;
  const uint64_t problems_before = num_problems_;
  num_lines_ = 0;
  num_problems_ = LogProblems(*report.current);
  const CatalogChanges& changes = report.current->changes();
  const bool is_news = report.previous == nullptr || has_recovered || num_lines_ > 0 ||
                       num_problems_ != problems_before ||
                       changes.num_added + changes.num_removed + changes.num_changed > 0;
  if (is_news) LogTotals(report);
}

void ReloadLog::ReportFailure(const absl::Status& status) {
  const std::string message(status.message());
  if (failure_ == message) return;
  failure_ = message;
  if (status.ok()) return;
  LogError("store cannot be scanned, what was known of it stays", {{"error", message}});
}

// Of models whose headers are not in memory the tensors are not counted.
void ReloadLog::LogTotals(const ReloadReport& report) const {
  uint64_t num_tensors = 0;
  uint64_t size_bytes = 0;
  const std::vector<std::shared_ptr<const Model>> loaded = report.current->LoadedModels();
  for (const std::shared_ptr<const Model>& model : loaded) {
    num_tensors += model->num_tensors();
    size_bytes += model->size_bytes();
  }
  const uint64_t num_models = report.current->num_models();
  if (num_models == 0) LogWarning("there are no models: no *.safetensors file in any store", {});
  if (report.previous == nullptr) {
    return LogInfo("scanned", {{"models", num_models},
                               {"models_read", uint64_t{loaded.size()}},
                               {"tensors", num_tensors},
                               {"bytes", size_bytes},
                               {"problems", num_problems_},
                               {"duration_ms", Milliseconds(report.took)}});
  }
  const CatalogChanges& changes = report.current->changes();
  LogInfo("reloaded", {{"models", num_models},
                       {"added", uint64_t{changes.num_added}},
                       {"removed", uint64_t{changes.num_removed}},
                       {"changed", uint64_t{changes.num_changed}},
                       {"problems", num_problems_},
                       {"duration_ms", Milliseconds(report.took)}});
}

void ReloadLog::LogProblem(const std::string& model, const Problem& problem) {
  if (num_lines_++ >= kMaxProblemLines) return;
  std::vector<LogField> fields;
  if (!model.empty()) fields.push_back({"model", model});  // Else it belongs to none.
  fields.push_back({"file", problem.file});
  fields.push_back({"reason", std::string(ErrorReasonName(problem.reason))});
  if (!problem.variant.empty()) fields.push_back({"variant", problem.variant});
  fields.push_back({"error", problem.message});
  LogWarning("cannot serve", fields);
}

uint64_t ReloadLog::LogProblems(const Catalog& catalog) {
  uint64_t count = catalog.problems().size();
  absl::flat_hash_set<uint64_t> problems;
  for (const Problem& problem : catalog.problems()) {
    const uint64_t hash = HashOf(problem);
    if (problems.insert(hash).second && !known_problems_.contains(hash)) LogProblem("", problem);
  }
  known_problems_ = std::move(problems);
  // A model that is not in memory is not known to be well by now: what was said of it stands.
  absl::flat_hash_map<std::string, uint64_t> models;
  for (size_t i = 0; i < catalog.num_models() && !known_models_.empty(); ++i) {
    const auto known = known_models_.find(catalog.model_id(i));
    if (known != known_models_.end()) models.insert(*known);
  }
  for (const std::shared_ptr<const Model>& model : catalog.LoadedModels()) {
    uint64_t hash = 0;
    for (const Problem& problem : model->problems()) hash = absl::HashOf(hash, HashOf(problem));
    count += model->problems().size();
    if (hash == 0) {
      models.erase(model->id());
      continue;
    }
    const auto known = models.find(model->id());
    const bool is_known = known != models.end() && known->second == hash;
    models[model->id()] = hash;
    if (is_known) continue;
    for (const Problem& problem : model->problems()) LogProblem(model->id(), problem);
  }
  known_models_ = std::move(models);
  return count;
}

}  // namespace tensord
