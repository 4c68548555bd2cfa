// One dimension's index, turned into positions that exist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "tensord/slice.h"

namespace tensord {

// Positions first, first + step, ... of a dimension, all within its extent. The step of a single
// position is 1.
struct PositionRange {
  uint64_t first = 0;
  uint64_t count = 0;  // At least 1.
  int64_t step = 1;
};

// What a `Dim` selects of a dimension of known extent.
struct ResolvedDim {
  std::vector<PositionRange> ranges;  // One after another; none when nothing is selected.
  uint64_t count = 0;                 // Positions in all ranges, at most the extent.
  bool is_dropped = false;            // An index: the result has no such dimension.
};

// The whole of a dimension.
ResolvedDim WholeDim(uint64_t extent);

// Errors as SlicePlan::Create says, naming `dimension` and `extent`. Ranges of a list that continue
// each other are joined.
absl::StatusOr<ResolvedDim> ResolveDim(const Dim& dim, size_t dimension, uint64_t extent);

}  // namespace tensord
