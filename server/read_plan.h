// What one call reads, decided and checked before its first byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/batch_request_view.h"
#include "server/catalog_view.h"
#include "src/model.h"
#include "src/slice_plan.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// A plan holds 64 bytes a result: 64 MiB at the most.
inline constexpr size_t kMaxResults = size_t{1} << 20;

// Ranges in all slice plans of a call: 32 bytes each, 32 MiB at the most. Only slices by lists of
// ranges come near it.
inline constexpr size_t kMaxPlannedRanges = size_t{1} << 20;

// Names that a call's patterns are compared with times the patterns' bytes: about a second of work,
// and 145 patterns of 20 bytes on DeepSeek-V3's 91,991 names.
inline constexpr uint64_t kMaxMatchCost = uint64_t{1} << 28;

// One result: the bytes [begin, end) of what a slice plan makes of a tensor. What a stream asks of
// a tensor stands here, so that it need not be looked up again for each message.
struct PlannedResult {
  uint32_t result = 0;               // Its number on the wire.
  uint32_t selection = 0;            // Of the request.
  uint32_t tensor = 0;               // Of the model.
  uint32_t slice = 0;                // Into ReadPlan::slices.
  uint32_t file = 0;                 // Into Model::files.
  absl::string_view name;            // The tensor's; lives as long as the model.
  uint64_t tensor_offset_bytes = 0;  // Of the tensor in its file.
  uint64_t begin = 0;
  uint64_t end = 0;
};

// The results of a call in the order in which they are sent. A value; its share of memory is all it
// borrows.
struct ReadPlan {
  std::shared_ptr<const Model> model;
  std::vector<PlannedResult> results;
  // Shared among results of equal dtype, shape and index, so that 92,000 whole tensors need a few.
  std::vector<std::shared_ptr<const SlicePlan>> slices;
  std::vector<std::string> layouts;  // Of each slice, as EncodeTensorLayout makes it.
  uint64_t size_bytes = 0;           // Of all results.
  // What it takes of a memory that plans share, given back with the last copy. Null: nothing.
  std::shared_ptr<const void> share;
};

// Plans a call. Errors, all of them as the proto says of the RPC: MODEL_NOT_FOUND, AMBIGUOUS_MODEL,
// VERSION_CHANGED, TENSOR_NOT_FOUND, FILE_INVALID, SHARD_MISSING, BAD_SLICE, UNEVEN_SHARD,
// INDEX_OUT_OF_BOUNDS, RANGE_OUT_OF_BOUNDS; BAD_REQUEST for a selection without a target, a
// malformed pattern, more than kMaxResults, kMaxPlannedRanges or kMaxMatchCost, or sizes whose
// sum does not fit uint64. For a batch the message begins with "selection 3: ".
absl::StatusOr<ReadPlan> PlanRead(const CatalogView& catalog, const v1::GetTensorRequest& request);
absl::StatusOr<ReadPlan> PlanRead(const CatalogView& catalog, const v1::GetSliceRequest& request);
absl::StatusOr<ReadPlan> PlanRead(const CatalogView& catalog, const BatchRequestView& request);

}  // namespace tensord
