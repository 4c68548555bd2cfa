// Puts a result's bytes where its destination wants them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "client/piece_cursor.h"
#include "tensord/destination.h"
#include "tensord/dtype.h"
#include "tensord/shape.h"

namespace tensord {

// A value; borrows the destination's memory. Never writes outside it.
class DestinationWriter {
 public:
  DestinationWriter() = default;  // Of no bytes.

  // For `size_bytes` bytes that lie dense. INVALID_ARGUMENT naming both sizes unless `destination`
  // has exactly this size.
  static absl::StatusOr<DestinationWriter> Dense(absl::Span<std::byte> destination,
                                                 uint64_t size_bytes);

  // For the elements of a dense row-major result of this dtype and shape, whose size in bytes fits
  // 64 bits. INVALID_ARGUMENT when the strides are not one for each dimension, let elements share
  // bytes, or lead out of the destination.
  static absl::StatusOr<DestinationWriter> Strided(const Destination& destination, Dtype dtype,
                                                   const Shape& shape);

  uint64_t size_bytes() const { return size_bytes_; }

  // Copies `data` to where bytes [offset, offset + data.remaining()) of the result belong; they
  // must lie within size_bytes().
  void Write(uint64_t offset, PieceCursor data);

 private:
  struct Axis {
    uint64_t extent = 0;
    uint64_t stride = 0;  // In bytes.
  };

  void WriteDense(std::byte* address, PieceCursor data) const;
  std::byte* BlockAddress(uint64_t block) const;

  std::byte* begin_ = nullptr;
  uint64_t size_bytes_ = 0;
  uint64_t block_bytes_ = 0;  // What lies together in result and destination alike.
  std::vector<Axis> axes_;    // Of blocks, outermost first; empty when all is one block.
};

}  // namespace tensord
