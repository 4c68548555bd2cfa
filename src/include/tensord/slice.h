// A numpy-style basic index on a tensor, plus lists of ranges and rank shards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord {

// Selects one position and drops the dimension. Negative counts from the end, as in numpy.
struct DimIndex {
  int64_t index = 0;
};

// Python's start:stop:step; an absent member is Python's None. Clamped to the extent as numpy does.
struct DimRange {
  std::optional<int64_t> start;
  std::optional<int64_t> stop;
  std::optional<int64_t> step;
};

// The ranges' elements one after another, in any order; at most as many in all as the dimension
// has. Lists on several dimensions combine as a grid (numpy's `np.ix_`).
struct DimRanges {
  std::vector<DimRange> ranges;
};

// The rows of one rank out of `count`. With L = ceil(max(extent, padded_size) / (count * multiple))
// * multiple these are [index * L, min((index + 1) * L, extent)), possibly none.
struct Shard {
  uint32_t index = 0;
  uint32_t count = 1;
  uint32_t multiple = 0;      // 0 counts as 1.
  uint64_t padded_size = 0;   // 0: the extent itself.
  bool allow_uneven = false;  // Else an uneven cut at multiple 1 without padding is an error.
};

// Parse reads no longer text. 1 KiB for each of 64 dimensions, far above any honest slice.
inline constexpr size_t kMaxSliceTextBytes = 64 << 10;

using Dim = std::variant<DimIndex, DimRange, DimRanges, Shard>;

// A value: one entry per dimension, outermost first; dimensions without an entry are taken whole.
struct Slice {
  std::vector<Dim> dims;
  // Where `...` stands: dims[*ellipsis] and what follows index the last dimensions. Absent: all
  // count from the front.
  std::optional<size_t> ellipsis;

  // Reads "[0:128, ::2, -1]" or "[..., :64]"; brackets are optional, white space is ignored, "" and
  // "[]" select the whole tensor. Lists and shards have no text form. A comma may trail,
  // as in Python. Errors: BAD_SLICE naming the position of the fault, in bytes from 0, which is
  // also the detail "position".
  static absl::StatusOr<Slice> Parse(absl::string_view text);

  // The text that Parse reads back to an equal slice; lists and shards are shown for people, as
  // "[{0:2, 6:8}, shard(1/4)]", and are not read back.
  std::string ToString() const;
};

}  // namespace tensord
