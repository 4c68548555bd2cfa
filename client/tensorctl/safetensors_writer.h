// The beginning of a safetensors file that holds one tensor.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tensord/dtype.h"

namespace tensord::ctl {

// Everything before the tensor's `size_bytes` bytes of data: length and JSON, padded with spaces so
// that data begins at a multiple of 8, as the reference implementation does. `name` is valid UTF-8.
std::string SafetensorsFileHeader(absl::string_view name, Dtype dtype,
                                  absl::Span<const uint64_t> shape, uint64_t size_bytes);

}  // namespace tensord::ctl
