// Walks a plan chunk by chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "src/slice_plan.h"

namespace tensord {

// Hands out the result bytes [begin, end) of a plan in ascending order without gap. Not
// thread-safe. Constant memory, and moved in constant time wherever `begin` lies, also in the
// middle of an element; finding the place in the tensor takes O(rank + log ranges).
class ChunkCursor {
 public:
  // `plan` is shared, because a stream outlives the request. begin <= end <= plan->size_bytes().
  ChunkCursor(std::shared_ptr<const SlicePlan> plan, uint64_t begin, uint64_t end);

  uint64_t offset_bytes() const { return offset_bytes_; }  // Of the next byte in the result.
  uint64_t remaining_bytes() const { return end_bytes_ - offset_bytes_; }  // 0 when done.

  // Bytes of the tensor that are next in one contiguous run.
  struct Run {
    uint64_t offset_bytes = 0;  // In the tensor.
    uint64_t size_bytes = 0;
  };

  // The run that the next bytes come from, at most `max_bytes` of it; size 0 when done. Does not
  // advance.
  Run NextRun(uint64_t max_bytes) const;

  // Passes over `size_bytes` <= remaining_bytes().
  void Skip(uint64_t size_bytes);

  // The smallest range of the tensor that holds all of the next min(size_bytes, remaining) result
  // bytes, so that its pages can be checked and made present first. Does not advance.
  Run Hull(uint64_t size_bytes) const;

  // Copies the next destination.size() <= remaining_bytes() result bytes out of `tensor`, whose
  // size is the tensor's, and advances. Tight inner loops for the common run sizes and strides.
  void Gather(absl::Span<const std::byte> tensor, absl::Span<std::byte> destination) {
    Gather(tensor, 0, destination);
  }
  // The same out of a part of the tensor that begins at its byte `begin_bytes` and has all of
  // Hull(destination.size()).
  void Gather(absl::Span<const std::byte> part, uint64_t begin_bytes,
              absl::Span<std::byte> destination);

 private:
  std::shared_ptr<const SlicePlan> plan_;
  uint64_t offset_bytes_ = 0;
  uint64_t end_bytes_ = 0;
};

}  // namespace tensord
