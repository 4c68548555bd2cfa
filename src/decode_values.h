// Elements of a tensor as numbers that people and scripts can read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "absl/types/span.h"
#include "tensord/dtype.h"

namespace tensord {

// Floating-point dtypes are doubles, exactly: every value of theirs is one. Signed integers are
// int64; unsigned integers and BOOL, whose byte is taken as it stands, are uint64.
using Values = std::variant<std::vector<double>, std::vector<int64_t>, std::vector<uint64_t>>;

// How many bytes `num_elements` take, the last one perhaps not filled. At most 2^58 elements.
uint64_t PackedBytes(Dtype dtype, uint64_t num_elements);

// The first `num_elements` of `bytes`, little-endian and dense as in a file; C64 gives two doubles
// an element, real and imaginary part. Element i of a sub-byte dtype of width w is bits
// [i * w, (i + 1) * w), least significant first. `bytes` holds PackedBytes() or more.
Values DecodeValues(Dtype dtype, absl::Span<const std::byte> bytes, size_t num_elements);

}  // namespace tensord
