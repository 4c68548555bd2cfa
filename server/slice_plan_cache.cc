#include "server/slice_plan_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "server/read_plan.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// The two spellings never share a key.
constexpr char kTextKey = 't';
constexpr char kDimsKey = 'd';

template <typename Message>
absl::StatusOr<SelectionIndex> ReadEither(const Message& message) {
  SelectionIndex index;
  if (message.has_dims()) {
    TENSORD_ASSIGN_OR_RETURN(index.slice, SliceFromProto(message.dims()));
    index.key.push_back(kDimsKey);
    message.dims().AppendToString(&index.key);
  } else if (!message.slice().empty()) {
    TENSORD_ASSIGN_OR_RETURN(index.slice, Slice::Parse(message.slice()));
    index.key.push_back(kTextKey);
    index.key.append(message.slice());
  }
  return index;
}

void AppendRaw(uint64_t value, std::string& key) {
  key.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

size_t NumRanges(const SlicePlan& plan) {
  size_t num_ranges = 0;
  for (const SlicePlan::Loop& loop : plan.loops()) num_ranges += loop.ranges.size();
  return num_ranges;
}

}  // namespace

absl::StatusOr<SelectionIndex> ReadIndex(const v1::Selection& selection) {
  return ReadEither(selection);
}

absl::StatusOr<SelectionIndex> ReadIndex(const v1::GetSliceRequest& request) {
  return ReadEither(request);
}

absl::StatusOr<uint32_t> SlicePlanCache::Plan(const Model::Tensor& tensor,
                                              const SelectionIndex& index) {
  key_.clear();
  key_.push_back(static_cast<char>(tensor.dtype));
  AppendRaw(tensor.shape.size(), key_);
  for (const uint64_t extent : tensor.shape) AppendRaw(extent, key_);
  key_.append(index.key);
  const auto known = numbers_.find(key_);
  if (known != numbers_.end()) return known->second;

  TENSORD_ASSIGN_OR_RETURN(SlicePlan plan,
                           SlicePlan::Create(tensor.dtype, tensor.shape, index.slice));
  num_ranges_ += NumRanges(plan);
  if (num_ranges_ > kMaxPlannedRanges) {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("the slices need more than ", kMaxPlannedRanges,
                                  " ranges in all; ask for fewer tensors at once"));
  }
  const auto number = static_cast<uint32_t>(plans_.size());
  plans_.push_back(std::make_shared<const SlicePlan>(std::move(plan)));
  numbers_.emplace(key_, number);
  return number;
}

}  // namespace tensord
