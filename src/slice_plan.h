// Which bytes of a tensor a slice needs, as a loop nest: O(rank + ranges) memory whatever the
// number of runs.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensord/dtype.h"
#include "tensord/shape.h"
#include "tensord/slice.h"

namespace tensord {

// A plan is a value and cannot change; it borrows nothing. All checking ends in Create: whoever
// walks a plan over a tensor of the given shape never leaves the tensor's bytes.
class SlicePlan {
 public:
  // Positions at first_bytes, first_bytes + step_bytes, ... of the tensor, counted from the loop's
  // zero; the step may be negative, the count is at least 1.
  struct Range {
    uint64_t first_bytes = 0;
    uint64_t count = 0;
    int64_t step_bytes = 0;
    uint64_t num_before = 0;  // Positions of the loop's earlier ranges.
  };

  // One loop of the nest: the ranges of a dimension (or of several merged ones) one after another.
  struct Loop {
    std::vector<Range> ranges;
    uint64_t count = 0;           // Positions in all ranges.
    uint64_t position_bytes = 0;  // Bytes of the result that each position yields.
    // The bytes of the tensor that the loops within and the run need for one position, as
    // [low, high) counted from that position.
    uint64_t inner_low_bytes = 0;
    uint64_t inner_high_bytes = 0;
  };

  // numpy's basic indexing on a row-major tensor of `dtype` and `shape`, whose size in bits fits
  // uint64 unless an extent is 0 (a validated header says so). Errors: INDEX_OUT_OF_BOUNDS;
  // BAD_SLICE (too many indices, step 0, a list with more elements than its dimension, a shard
  // that does not exist, a run of a sub-byte dtype that does not begin and end on a byte, a rank
  // above kMaxRank unless the slice is whole); UNEVEN_SHARD. Each names the dimension, what was
  // asked and the extent.
  static absl::StatusOr<SlicePlan> Create(Dtype dtype, absl::Span<const uint64_t> shape,
                                          const Slice& slice);

  // Of the result: dense, row-major.
  const Shape& shape() const { return shape_; }
  uint64_t size_bytes() const { return size_bytes_; }

  // The whole result is one run of the tensor (also when it is empty).
  bool is_contiguous() const { return loops_.empty(); }

  // The nest around the innermost run, outermost first, at most kMaxRank loops; adjacent loops that
  // form one stride are merged. A range of the innermost loop whose step is run_bytes() is one
  // contiguous run as a whole: lists have such.
  const std::vector<Loop>& loops() const { return loops_; }
  uint64_t run_bytes() const { return run_bytes_; }  // Each innermost run's size.
  // Where the nest's zero lies in the tensor: the run for which all loops are at 0 begins here.
  uint64_t offset_bytes() const { return offset_bytes_; }

 private:
  friend class SlicePlanner;

  SlicePlan() = default;

  Shape shape_;
  std::vector<Loop> loops_;
  uint64_t size_bytes_ = 0;
  uint64_t run_bytes_ = 0;
  uint64_t offset_bytes_ = 0;
};

}  // namespace tensord
