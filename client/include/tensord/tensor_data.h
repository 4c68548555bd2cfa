// A tensor, or a slice of one, in memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensord/dtype.h"
#include "tensord/shape.h"

namespace tensord {

// Bytes aligned to 64, so that vector code and DMA may use them; from 2 MiB on, in huge pages where
// the system has them. Moves only; views of it live as long as it does, moves included.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;

  // Contents are unspecified. RESOURCE_EXHAUSTED when there is no memory.
  static absl::StatusOr<AlignedBuffer> Allocate(uint64_t size_bytes);

  absl::Span<std::byte> bytes() { return {data_.get(), data_ ? size_ : 0}; }
  absl::Span<const std::byte> bytes() const { return {data_.get(), data_ ? size_ : 0}; }

 private:
  struct Free {
    uint64_t mapped_bytes;  // 0: from the heap.
    void operator()(std::byte* data) const;
  };

  std::unique_ptr<std::byte, Free> data_;
  size_t size_ = 0;
};

// Little-endian, dense, row-major. Moves only.
struct TensorData {
  std::string name;     // Of the tensor.
  std::string model;    // Canonical id.
  std::string version;  // Of the model, to pin further calls to.
  Dtype dtype = Dtype::kU8;
  Shape shape;  // Of the slice's result.
  AlignedBuffer data;

  absl::Span<const std::byte> bytes() const { return data.bytes(); }
  absl::Span<std::byte> bytes() { return data.bytes(); }
};

}  // namespace tensord
