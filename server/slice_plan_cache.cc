#include "server/slice_plan_cache.h"

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "server/read_plan.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

absl::StatusOr<Slice> ParseIndex(const IndexView& index) {
  switch (index.kind) {
    case IndexView::Kind::kWhole:
      return Slice();
    case IndexView::Kind::kText:
      return Slice::Parse(index.bytes);
    case IndexView::Kind::kDims:
      break;
  }
  v1::Dims dims;
  if (!dims.ParseFromArray(index.bytes.data(), static_cast<int>(index.bytes.size()))) {
    return MakeError(ErrorReason::kBadRequest, "dims cannot be parsed");
  }
  return SliceFromProto(dims);
}

size_t NumRanges(const SlicePlan& plan) {
  size_t num_ranges = 0;
  for (const SlicePlan::Loop& loop : plan.loops()) num_ranges += loop.ranges.size();
  return num_ranges;
}

}  // namespace

absl::Status SlicePlanCache::UseIndex(const IndexView& index) {
  if (index.kind == index_.kind && index.bytes == index_.bytes) return absl::OkStatus();
  if (index.bytes.empty()) {  // Neither a text nor dims: whole, as without either.
    index_ = {};
    index_number_ = 0;
    return absl::OkStatus();
  }
  const std::pair<IndexView::Kind, absl::string_view> key(index.kind, index.bytes);
  auto known = indices_.find(key);
  if (known == indices_.end()) {
    TENSORD_RETURN_IF_ERROR(ParseIndex(index).status());
    known = indices_.emplace(key, static_cast<uint32_t>(indices_.size() + 1)).first;
  }
  index_ = index;
  index_number_ = known->second;
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> SlicePlanCache::Plan(const Model::Tensor& tensor) {
  const Key key{index_number_, tensor.dtype, tensor.shape};
  const auto known = numbers_.find(key);
  if (known != numbers_.end()) return known->second;

  TENSORD_ASSIGN_OR_RETURN(const Slice slice, ParseIndex(index_));
  TENSORD_ASSIGN_OR_RETURN(SlicePlan plan, SlicePlan::Create(tensor.dtype, tensor.shape, slice));
  num_ranges_ += NumRanges(plan);
  if (num_ranges_ > kMaxPlannedRanges) {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("the slices need more than ", kMaxPlannedRanges,
                                  " ranges in all; ask for fewer tensors at once"));
  }
  const auto number = static_cast<uint32_t>(plans_.size());
  plans_.push_back(std::make_shared<const SlicePlan>(std::move(plan)));
  numbers_.emplace(key, number);
  return number;
}

}  // namespace tensord
