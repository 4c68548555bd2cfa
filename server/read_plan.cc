#include "server/read_plan.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/convert.h"
#include "server/find_model.h"
#include "server/slice_plan_cache.h"
#include "src/checked_math.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/glob.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// Collects the results of one call.
class Planner {
 public:
  explicit Planner(std::shared_ptr<const Model> model) { plan_.model = std::move(model); }

  // Adds the next result. `range` may be null: all bytes.
  absl::Status Add(uint32_t selection, size_t tensor_index, const SelectionIndex& index,
                   const v1::ByteRange* range);

  absl::Status AddByName(uint32_t selection, absl::string_view name, const SelectionIndex& index,
                         const v1::ByteRange* range);
  absl::Status AddByPattern(uint32_t selection, absl::string_view pattern,
                            const SelectionIndex& index, const v1::ByteRange* range);

  // Sorts the results so that files are read from front to back.
  void OrderByFile();

  ReadPlan Take() {
    plan_.slices = slices_.Take();
    return std::move(plan_);
  }

 private:
  ReadPlan plan_;
  SlicePlanCache slices_;
  uint64_t match_cost_ = 0;  // Names times pattern bytes.
};

absl::Status Planner::Add(uint32_t selection, size_t tensor_index, const SelectionIndex& index,
                          const v1::ByteRange* range) {
  if (plan_.results.size() == kMaxResults) {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("more than ", kMaxResults, " results; split the request"));
  }
  PlannedResult result;
  result.result = static_cast<uint32_t>(plan_.results.size());
  result.selection = selection;
  result.tensor = static_cast<uint32_t>(tensor_index);
  TENSORD_ASSIGN_OR_RETURN(result.slice, slices_.Plan(plan_.model->tensor(tensor_index), index));
  result.end = slices_[result.slice].size_bytes();
  if (range != nullptr) {
    TENSORD_ASSIGN_OR_RETURN(const ByteInterval interval, ResolveRange(*range, result.end));
    result.begin = interval.begin;
    result.end = interval.end;
  }
  const std::optional<uint64_t> sum = CheckedAdd(plan_.size_bytes, result.end - result.begin);
  if (!sum) {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("the results have more than 2^64 bytes in all; the first ",
                                  plan_.results.size(), " have ", plan_.size_bytes));
  }
  plan_.size_bytes = *sum;
  plan_.results.push_back(result);
  return absl::OkStatus();
}

absl::Status Planner::AddByName(uint32_t selection, absl::string_view name,
                                const SelectionIndex& index, const v1::ByteRange* range) {
  TENSORD_ASSIGN_OR_RETURN(const size_t tensor, plan_.model->Find(name));
  const absl::Status added = Add(selection, tensor, index, range);
  return added.ok() ? added : Annotate(added, absl::StrCat("tensor ", Quote(name)));
}

absl::Status Planner::AddByPattern(uint32_t selection, absl::string_view pattern,
                                   const SelectionIndex& index, const v1::ByteRange* range) {
  TENSORD_ASSIGN_OR_RETURN(const Glob glob, Glob::Parse(pattern));
  match_cost_ += plan_.model->num_tensors() * pattern.size();
  if (match_cost_ > kMaxMatchCost) {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("too many patterns for the model's ", plan_.model->num_tensors(),
                                  " names; split the request"));
  }
  const size_t num_before = plan_.results.size();
  for (const uint32_t tensor : plan_.model->natural_order()) {
    const absl::string_view name = plan_.model->tensor(tensor).name;
    if (!glob.Matches(name)) continue;
    const absl::Status added = Add(selection, tensor, index, range);
    if (!added.ok()) return Annotate(added, absl::StrCat("tensor ", Quote(name)));
  }
  if (plan_.results.size() > num_before) return absl::OkStatus();
  return MakeError(ErrorReason::kTensorNotFound,
                   absl::StrCat("no tensor of model ", Quote(plan_.model->id()),
                                " matches the pattern ", Quote(pattern)));
}

void Planner::OrderByFile() {
  struct Place {
    size_t file;
    uint64_t offset_bytes;
    PlannedResult result;
  };
  std::vector<Place> places;
  places.reserve(plan_.results.size());
  for (const PlannedResult& result : plan_.results) {
    const Model::Tensor tensor = plan_.model->tensor(result.tensor);
    const uint64_t in_tensor = slices_[result.slice].offset_bytes() + result.begin;
    places.push_back({tensor.file, tensor.offset_bytes + in_tensor, result});
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(a.file, a.offset_bytes, a.result.result) <
           std::tie(b.file, b.offset_bytes, b.result.result);
  });
  for (size_t i = 0; i < places.size(); ++i) plan_.results[i] = places[i].result;
}

template <typename Message>
const v1::ByteRange* RangeOf(const Message& message) {
  return message.has_range() ? &message.range() : nullptr;
}

absl::Status AddSelection(uint32_t number, const v1::Selection& selection, Planner& planner) {
  TENSORD_ASSIGN_OR_RETURN(const SelectionIndex index, ReadIndex(selection));
  switch (selection.target_case()) {
    case v1::Selection::kTensor:
      return planner.AddByName(number, selection.tensor(), index, RangeOf(selection));
    case v1::Selection::kPattern:
      return planner.AddByPattern(number, selection.pattern(), index, RangeOf(selection));
    case v1::Selection::TARGET_NOT_SET:
      break;
  }
  return MakeError(ErrorReason::kBadRequest, "neither tensor nor pattern is set");
}

}  // namespace

absl::StatusOr<ReadPlan> PlanRead(const Catalog& catalog, const v1::GetTensorRequest& request) {
  TENSORD_ASSIGN_OR_RETURN(auto model, FindModel(catalog, request.model(), request.version()));
  Planner planner(std::move(model));
  TENSORD_RETURN_IF_ERROR(
      planner.AddByName(0, request.tensor(), SelectionIndex(), RangeOf(request)));
  return planner.Take();
}

absl::StatusOr<ReadPlan> PlanRead(const Catalog& catalog, const v1::GetSliceRequest& request) {
  TENSORD_ASSIGN_OR_RETURN(auto model, FindModel(catalog, request.model(), request.version()));
  TENSORD_ASSIGN_OR_RETURN(const SelectionIndex index, ReadIndex(request));
  Planner planner(std::move(model));
  TENSORD_RETURN_IF_ERROR(planner.AddByName(0, request.tensor(), index, RangeOf(request)));
  return planner.Take();
}

absl::StatusOr<ReadPlan> PlanRead(const Catalog& catalog, const v1::GetTensorsRequest& request) {
  TENSORD_ASSIGN_OR_RETURN(auto model, FindModel(catalog, request.model(), request.version()));
  Planner planner(std::move(model));
  for (int i = 0; i < request.selections_size(); ++i) {
    const absl::Status added =
        AddSelection(static_cast<uint32_t>(i), request.selections(i), planner);
    if (!added.ok()) return Annotate(added, absl::StrCat("selection ", i));
  }
  if (request.order() != v1::RESULT_ORDER_REQUEST) planner.OrderByFile();
  return planner.Take();
}

}  // namespace tensord
