// The caller's memory that a result is written to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace tensord {

// Borrows memory: it must stay valid, and be touched by nobody else, until the call has returned
// or, for an asynchronous call, until its callback runs. Any alignment will do. Memory that is
// faulted in already, or backed by huge pages, is several times faster to fill than fresh memory.
//
// After an error the bytes are unspecified; bytes outside the destination are never touched.
struct Destination {
  Destination() = default;

  // Dense, row-major: `bytes` has exactly the size of the result.
  Destination(absl::Span<std::byte> memory) : bytes(memory) {}  // NOLINT: any span is one.
  Destination(void* data, size_t size_bytes) : bytes(static_cast<std::byte*>(data), size_bytes) {}

  // Strided, as in an engine's padded buffer: neighbours along dimension d of the result lie
  // byte_strides[d] bytes apart, and the gaps between are left alone. One stride for each dimension
  // of the result (an index drops its dimension). For a [rows, 100] F32 result in rows of 512
  // bytes: {512, 4}. Every element must lie within `bytes`, and no two may share bytes. For dtypes
  // below 8 bits the last stride is 1, and rows are packed and whole bytes long.
  Destination(absl::Span<std::byte> memory, std::vector<uint64_t> strides)
      : bytes(memory), byte_strides(std::move(strides)) {}

  absl::Span<std::byte> bytes;
  std::vector<uint64_t> byte_strides;  // Empty: dense.
};

}  // namespace tensord
