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
  // Positions first, first + step, ... of one dimension; step may be negative, count is at least 1.
  struct Range {
    uint64_t first = 0;
    uint64_t count = 0;
    int64_t step = 1;
  };

  // One loop of the nest, outermost first: the ranges of a dimension one after another.
  struct Loop {
    std::vector<Range> ranges;
    uint64_t count = 0;        // Positions in all ranges.
    uint64_t stride_bits = 0;  // From one position of the dimension to the next, in the tensor.
  };

  // numpy's basic indexing on a row-major tensor of `dtype` and `shape`, whose size in bytes fits
  // uint64 (a validated header says so). Errors: INDEX_OUT_OF_BOUNDS; BAD_SLICE (too many indices,
  // step 0, a list with more elements than its dimension, a run of a sub-byte dtype that does not
  // begin and end on a byte); UNEVEN_SHARD. Each names the dimension, what was asked and the
  // extent.
  static absl::StatusOr<SlicePlan> Create(Dtype dtype, absl::Span<const uint64_t> shape,
                                          const Slice& slice);

  // Of the result: dense, row-major.
  const Shape& shape() const { return shape_; }
  uint64_t size_bytes() const { return size_bytes_; }

  // The whole result is one run of the tensor (also when it is empty).
  bool is_contiguous() const { return loops_.empty(); }

  // The nest around the innermost run, outermost first; adjacent loops that form one stride are
  // merged.
  const std::vector<Loop>& loops() const { return loops_; }
  uint64_t run_bytes() const { return run_bytes_; }  // Each innermost run's size.
  uint64_t offset_bytes() const {
    return offset_bytes_;
  }  // Where the nest's zero position lies in the tensor.

 private:
  SlicePlan() = default;

  Shape shape_;
  std::vector<Loop> loops_;
  uint64_t size_bytes_ = 0;
  uint64_t run_bytes_ = 0;
  uint64_t offset_bytes_ = 0;
};

}  // namespace tensord
