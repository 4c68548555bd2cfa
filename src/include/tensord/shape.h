// The extents of a tensor's dimensions, outermost first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tensord {

// Empty means a scalar: rank 0, one element. An extent may be 0: then the tensor has no elements.
using Shape = std::vector<uint64_t>;

// A tensor of more dimensions is served whole only. numpy has the same limit.
inline constexpr size_t kMaxRank = 64;

}  // namespace tensord
