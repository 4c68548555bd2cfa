// A header as its JSON says it: well-formed, not yet known to describe the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "tensord/dtype.h"

namespace tensord {

// Offsets fit 32 bits: a header has at most kMaxHeaderBytes.
struct TextSpan {
  uint32_t offset = 0;  // In RawHeader::text.
  uint32_t size_bytes = 0;
};

struct RawTensor {
  TextSpan name;
  uint64_t begin = 0;  // data_offsets, as written.
  uint64_t end = 0;
  uint64_t num_elements = 1;  // The product of the shape, unless it overflowed.
  uint32_t shape_offset = 0;  // Of the first dimension's digits in RawHeader::text.
  uint32_t rank = 0;
  Dtype dtype = Dtype::kU8;
  bool elements_overflow = false;
};

struct RawMetadata {
  TextSpan key;
  TextSpan value;
};

// Spans point into a copy of the JSON whose strings are decoded in place. Shapes stay text until
// their number is known, because a dimension is as short as 2 bytes there.
struct RawHeader {
  std::unique_ptr<char[]> text;
  std::vector<RawTensor> tensors;     // In the file's order; names may repeat.
  std::vector<RawMetadata> metadata;  // In the file's order; keys may repeat.
  bool has_metadata = false;

  absl::string_view Text(TextSpan span) const {
    return absl::string_view(text.get() + span.offset, span.size_bytes);
  }
};

}  // namespace tensord
