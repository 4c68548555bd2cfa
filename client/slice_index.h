// A slice as the `index` of a request.
#pragma once

#include <algorithm>
#include <variant>

#include "absl/status/status.h"
#include "proto/convert.h"
#include "src/error.h"
#include "tensord/slice.h"

namespace tensord {

// Lists and shards have no text, and an ellipsis has no dims.
inline bool HasTextForm(const Slice& slice) {
  return std::all_of(slice.dims.begin(), slice.dims.end(), [](const Dim& dim) {
    return std::holds_alternative<DimIndex>(dim) || std::holds_alternative<DimRange>(dim);
  });
}

// Sets `slice` or `dims` of a message that has both (Selection, GetSliceRequest,
// PeekTensorRequest); neither for a slice of everything. BAD_SLICE for an ellipsis beside lists or
// shards.
template <typename Message>
absl::Status SetIndex(const Slice& slice, Message& message) {
  if (slice.ellipsis) {
    if (!HasTextForm(slice)) {
      return MakeError(ErrorReason::kBadSlice,
                       "a slice with an ellipsis cannot have lists or shards: give every dimension "
                       "an entry instead");
    }
    message.set_slice(slice.ToString());
  } else if (!slice.dims.empty()) {
    *message.mutable_dims() = DimsToProto(slice);
  }
  return absl::OkStatus();
}

}  // namespace tensord
