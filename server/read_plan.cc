#include "server/read_plan.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/convert.h"
#include "server/chunk_encoder.h"
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

  // Chooses the index of what is added next.
  absl::Status UseIndex(const IndexView& index) { return slices_.UseIndex(index); }

  // Each adds results with that index; of `range`, or of all bytes.
  absl::Status AddByName(uint32_t selection, absl::string_view name,
                         const std::optional<RangeView>& range);
  absl::Status AddByPattern(uint32_t selection, absl::string_view pattern,
                            const std::optional<RangeView>& range);

  // Sorts the results so that files are read from front to back.
  void OrderByFile();

  ReadPlan Take() {
    plan_.slices = slices_.Take();
    return std::move(plan_);
  }

 private:
  // Adds the next result.
  absl::Status Add(uint32_t selection, size_t tensor_index, const std::optional<RangeView>& range);
  absl::StatusOr<uint32_t> PlanSlice(const Model::Tensor& tensor);
  // By file, then by place in it, then as numbered.
  bool ComesBefore(const PlannedResult& a, const PlannedResult& b) const;

  ReadPlan plan_;
  SlicePlanCache slices_;
  uint64_t match_cost_ = 0;  // Names times pattern bytes.
  size_t found_ = 0;         // Which tensor was asked for last.
};

absl::StatusOr<uint32_t> Planner::PlanSlice(const Model::Tensor& tensor) {
  TENSORD_ASSIGN_OR_RETURN(const uint32_t number, slices_.Plan(tensor));
  if (number == plan_.layouts.size()) {
    const SlicePlan& slice = slices_[number];
    plan_.layouts.push_back(
        EncodeTensorLayout(DtypeName(tensor.dtype), slice.shape(), slice.size_bytes()));
  }
  return number;
}

absl::Status Planner::Add(uint32_t selection, size_t tensor_index,
                          const std::optional<RangeView>& range) {
  if (plan_.results.size() == kMaxResults) {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("more than ", kMaxResults, " results; split the request"));
  }
  const Model::Tensor tensor = plan_.model->tensor(tensor_index);
  PlannedResult result;
  result.result = static_cast<uint32_t>(plan_.results.size());
  result.selection = selection;
  result.tensor = static_cast<uint32_t>(tensor_index);
  TENSORD_ASSIGN_OR_RETURN(result.slice, PlanSlice(tensor));
  result.file = static_cast<uint32_t>(tensor.file);
  result.name = tensor.name;
  result.tensor_offset_bytes = tensor.offset_bytes;
  result.end = slices_[result.slice].size_bytes();
  if (range) {
    TENSORD_ASSIGN_OR_RETURN(const ByteInterval interval,
                             ResolveRange(range->offset, range->length, result.end));
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
                                const std::optional<RangeView>& range) {
  TENSORD_ASSIGN_OR_RETURN(found_, plan_.model->Find(name, found_));
  const absl::Status added = Add(selection, found_, range);
  return added.ok() ? added : Annotate(added, absl::StrCat("tensor ", Quote(name)));
}

absl::Status Planner::AddByPattern(uint32_t selection, absl::string_view pattern,
                                   const std::optional<RangeView>& range) {
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
    const absl::Status added = Add(selection, tensor, range);
    if (!added.ok()) return Annotate(added, absl::StrCat("tensor ", Quote(name)));
  }
  if (plan_.results.size() > num_before) return absl::OkStatus();
  return MakeError(ErrorReason::kTensorNotFound,
                   absl::StrCat("no tensor of model ", Quote(plan_.model->id()),
                                " matches the pattern ", Quote(pattern)));
}

bool Planner::ComesBefore(const PlannedResult& a, const PlannedResult& b) const {
  if (a.file != b.file) return a.file < b.file;
  const uint64_t offset_a = a.tensor_offset_bytes + slices_[a.slice].offset_bytes() + a.begin;
  const uint64_t offset_b = b.tensor_offset_bytes + slices_[b.slice].offset_bytes() + b.begin;
  return offset_a != offset_b ? offset_a < offset_b : a.result < b.result;
}

void Planner::OrderByFile() {
  const auto before = [this](const PlannedResult& a, const PlannedResult& b) {
    return ComesBefore(a, b);
  };
  // Clients often ask in the order of the file.
  if (std::is_sorted(plan_.results.begin(), plan_.results.end(), before)) return;
  std::sort(plan_.results.begin(), plan_.results.end(), before);
}

template <typename Message>
std::optional<RangeView> RangeOf(const Message& message) {
  if (!message.has_range()) return std::nullopt;
  const v1::ByteRange& range = message.range();
  return RangeView{range.offset(),
                   range.has_length() ? std::make_optional(range.length()) : std::nullopt};
}

absl::Status AddSelection(uint32_t number, const SelectionView& selection, Planner& planner) {
  TENSORD_RETURN_IF_ERROR(planner.UseIndex(selection.index));
  switch (selection.target) {
    case SelectionView::Target::kTensor:
      return planner.AddByName(number, selection.name, selection.range);
    case SelectionView::Target::kPattern:
      return planner.AddByPattern(number, selection.name, selection.range);
    case SelectionView::Target::kNone:
      break;
  }
  return MakeError(ErrorReason::kBadRequest, "neither tensor nor pattern is set");
}

}  // namespace

absl::StatusOr<ReadPlan> PlanRead(const CatalogView& catalog, const v1::GetTensorRequest& request) {
  TENSORD_ASSIGN_OR_RETURN(auto model, FindModel(catalog, request.model(), request.version()));
  Planner planner(std::move(model));
  TENSORD_RETURN_IF_ERROR(planner.AddByName(0, request.tensor(), RangeOf(request)));
  return planner.Take();
}

absl::StatusOr<ReadPlan> PlanRead(const CatalogView& catalog, const v1::GetSliceRequest& request) {
  TENSORD_ASSIGN_OR_RETURN(auto model, FindModel(catalog, request.model(), request.version()));
  std::string encoded_dims;
  Planner planner(std::move(model));
  TENSORD_RETURN_IF_ERROR(planner.UseIndex(IndexOf(request, encoded_dims)));
  TENSORD_RETURN_IF_ERROR(planner.AddByName(0, request.tensor(), RangeOf(request)));
  return planner.Take();
}

absl::StatusOr<ReadPlan> PlanRead(const CatalogView& catalog, const BatchRequestView& request) {
  TENSORD_ASSIGN_OR_RETURN(auto model, FindModel(catalog, request.model(), request.version()));
  Planner planner(std::move(model));
  BatchRequestView::Selections selections = request.selections();
  uint32_t number = 0;
  while (const std::optional<SelectionView> selection = selections.Next()) {
    const absl::Status added = AddSelection(number, *selection, planner);
    if (!added.ok()) return Annotate(added, absl::StrCat("selection ", number));
    ++number;
  }
  if (!request.in_request_order()) planner.OrderByFile();
  return planner.Take();
}

}  // namespace tensord
