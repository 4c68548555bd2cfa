// Makes slice plans, each only once in a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/model.h"
#include "src/slice_plan.h"
#include "tensord/slice.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// The index of a selection, read: what the wire says as text or as dims.
struct SelectionIndex {
  Slice slice;
  // Equal keys mean equal slices; empty for a whole tensor.
  std::string key;
};

// Errors: BAD_SLICE.
absl::StatusOr<SelectionIndex> ReadIndex(const v1::Selection& selection);
absl::StatusOr<SelectionIndex> ReadIndex(const v1::GetSliceRequest& request);

// Not thread-safe; lives for the planning of one call.
class SlicePlanCache {
 public:
  // The number of the plan that `index` makes on a tensor of this dtype and shape. Errors: as
  // SlicePlan::Create, and BAD_REQUEST beyond kMaxPlannedRanges ranges in all.
  absl::StatusOr<uint32_t> Plan(const Model::Tensor& tensor, const SelectionIndex& index);

  const SlicePlan& operator[](uint32_t number) const { return *plans_[number]; }

  std::vector<std::shared_ptr<const SlicePlan>> Take() { return std::move(plans_); }

 private:
  std::string key_;  // Kept for its memory.
  absl::flat_hash_map<std::string, uint32_t> numbers_;
  std::vector<std::shared_ptr<const SlicePlan>> plans_;
  size_t num_ranges_ = 0;
};

}  // namespace tensord
