// numpy's basic indexing, lists and shards once more, element by element: the oracle that plans and
// cursors are compared with. Slow and plain; it shares no code with src/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/types/span.h"
#include "tensord/dtype.h"
#include "tensord/error_reason.h"
#include "tensord/shape.h"
#include "tensord/slice.h"

namespace tensord::naive {

// What a slice should give. `elements` are positions in the flat tensor, in the result's order.
struct Result {
  ErrorReason reason = ErrorReason::kUnspecified;  // kUnspecified: no error.
  Shape shape;
  std::vector<uint64_t> elements;
};

// Python: list(range(n))[start:stop:step], for n < 2^31 and step != 0.
inline std::vector<uint64_t> PythonRange(const DimRange& range, int64_t n) {
  const int64_t step = std::clamp<int64_t>(range.step.value_or(1), -(n + 1), n + 1);
  int64_t start = step > 0 ? 0 : n - 1;
  int64_t stop = step > 0 ? n : -1;
  const auto place = [n, step](int64_t bound) {
    if (bound < -n) return step > 0 ? int64_t{0} : int64_t{-1};
    if (bound < 0) return bound + n;
    if (bound >= n) return step > 0 ? n : n - 1;
    return bound;
  };
  if (range.start) start = place(*range.start);
  if (range.stop) stop = place(*range.stop);
  std::vector<uint64_t> positions;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) positions.push_back(i);
  return positions;
}

// The positions that `dim` takes of a dimension of extent `n` < 2^31.
inline ErrorReason Positions(const Dim& dim, int64_t n, std::vector<uint64_t>& positions) {
  if (const auto* index = std::get_if<DimIndex>(&dim)) {
    if (index->index < -n || index->index >= n) return ErrorReason::kIndexOutOfBounds;
    positions = {static_cast<uint64_t>((index->index + n) % n)};
  } else if (const auto* range = std::get_if<DimRange>(&dim)) {
    if (range->step == 0) return ErrorReason::kBadSlice;
    positions = PythonRange(*range, n);
  } else if (const auto* list = std::get_if<DimRanges>(&dim)) {
    for (const DimRange& part : list->ranges) {
      if (part.step == 0) return ErrorReason::kBadSlice;
      const auto more = PythonRange(part, n);
      positions.insert(positions.end(), more.begin(), more.end());
    }
    if (positions.size() > static_cast<uint64_t>(n)) return ErrorReason::kBadSlice;
  } else {
    const auto& shard = std::get<Shard>(dim);
    if (shard.index >= shard.count) return ErrorReason::kBadSlice;
    const bool is_plain = shard.multiple < 2 && shard.padded_size == 0;
    if (is_plain && !shard.allow_uneven && n % shard.count != 0) return ErrorReason::kUnevenShard;
    // Grow the part until the parts together are enough.
    const uint64_t multiple = std::max<uint64_t>(1, shard.multiple);
    uint64_t rows = 0;
    while (rows * shard.count < std::max<uint64_t>(n, shard.padded_size)) rows += multiple;
    for (uint64_t i = 0; i < static_cast<uint64_t>(n); ++i) {
      if (rows > 0 && i / rows == shard.index) positions.push_back(i);
    }
  }
  return ErrorReason::kUnspecified;
}

// Whether each stretch of adjacent elements begins and ends on a byte.
inline bool IsAligned(const std::vector<uint64_t>& elements, uint64_t bits) {
  for (size_t i = 0; i < elements.size(); ++i) {
    const bool begins = i == 0 || elements[i] != elements[i - 1] + 1;
    const bool ends = i + 1 == elements.size() || elements[i + 1] != elements[i] + 1;
    if (begins && elements[i] * bits % 8 != 0) return false;
    if (ends && (elements[i] + 1) * bits % 8 != 0) return false;
  }
  return true;
}

inline Result Index(Dtype dtype, const Shape& shape, const Slice& slice) {
  Result result;
  if (slice.dims.size() > shape.size()) return {ErrorReason::kBadSlice, {}, {}};
  // Fill up with whole dimensions.
  std::vector<Dim> dims = slice.dims;
  dims.insert(dims.begin() + slice.ellipsis.value_or(dims.size()), shape.size() - dims.size(),
              DimRange());
  result.elements = {0};
  for (size_t i = 0; i < shape.size(); ++i) {
    std::vector<uint64_t> positions;
    result.reason = Positions(dims[i], static_cast<int64_t>(shape[i]), positions);
    if (result.reason != ErrorReason::kUnspecified) return {result.reason, {}, {}};
    if (!std::holds_alternative<DimIndex>(dims[i])) result.shape.push_back(positions.size());
    std::vector<uint64_t> elements;
    for (const uint64_t outer : result.elements) {
      for (const uint64_t position : positions) elements.push_back(outer * shape[i] + position);
    }
    result.elements = std::move(elements);
  }
  if (!IsAligned(result.elements, BitsPerElement(dtype))) return {ErrorReason::kBadSlice, {}, {}};
  return result;
}

// The bytes of the result, bit by bit: element i of `tensor` is bits [i * width, (i + 1) * width).
inline std::vector<std::byte> Bytes(Dtype dtype, absl::Span<const std::byte> tensor,
                                    const std::vector<uint64_t>& elements) {
  const uint64_t width = BitsPerElement(dtype);
  std::vector<std::byte> bytes(elements.size() * width / 8);
  for (size_t i = 0; i < elements.size(); ++i) {
    for (uint64_t bit = 0; bit < width; ++bit) {
      const uint64_t from = elements[i] * width + bit;
      const uint64_t to = i * width + bit;
      const bool is_set = (std::to_integer<unsigned>(tensor[from / 8]) >> (from % 8) & 1u) != 0;
      if (is_set) bytes[to / 8] |= std::byte{1} << (to % 8);
    }
  }
  return bytes;
}

// Draws small tensors and slices of them, errors included. The same seed gives the same draws.
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}

  // In [low, high].
  int64_t Number(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(engine_() % static_cast<uint64_t>(high - low + 1));
  }
  bool OneIn(int64_t n) { return Number(1, n) == 1; }

  Dtype AnyDtype() {
    if (OneIn(3)) return static_cast<Dtype>(Number(1, 3));  // Sub-byte types are the hard ones.
    return static_cast<Dtype>(Number(0, kNumDtypes - 1));
  }

  // At most some thousand elements, of whole bytes.
  Shape AnyShape(Dtype dtype) {
    Shape shape(static_cast<size_t>(OneIn(20) ? Number(0, 9) : Number(0, 4)));
    const int64_t largest = shape.size() > 4 ? 2 : 8;
    for (uint64_t& extent : shape)
      extent = static_cast<uint64_t>(OneIn(20) ? 0 : Number(1, largest));
    uint64_t bits = BitsPerElement(dtype);
    for (const uint64_t extent : shape) bits *= extent;
    if (bits % 8 != 0) shape.push_back(4);
    return shape;
  }

  Slice AnySlice(const Shape& shape) {
    Slice slice;
    const int64_t rank = static_cast<int64_t>(shape.size());
    const int64_t num_dims = OneIn(50) ? rank + 1 : Number(0, rank);
    for (int64_t i = 0; i < num_dims; ++i) {
      slice.dims.push_back(AnyDim(i < rank ? static_cast<int64_t>(shape[i]) : 3));
    }
    if (OneIn(3)) slice.ellipsis = static_cast<size_t>(Number(0, num_dims));
    return slice;
  }

  Dim AnyDim(int64_t extent) {
    switch (Number(0, 7)) {
      case 0:
        return DimIndex{OneIn(20) ? Number(-extent - 2, extent + 1)
                                  : Number(-extent, std::max<int64_t>(extent - 1, 0))};
      case 1:
      case 2:
        return AnyList(extent);
      case 3:
        return AnyShard();
      default:
        return AnyRange(extent);
    }
  }

  DimRange AnyRange(int64_t extent) {
    DimRange range;
    if (!OneIn(3)) range.start = AnyBound(extent);
    if (!OneIn(3)) range.stop = AnyBound(extent);
    if (OneIn(2)) range.step = OneIn(30) ? 0 : OneIn(2) ? Number(-3, 3) : Number(1, 2);
    if (range.step == 0 && !OneIn(10)) range.step = 1;
    if (OneIn(50)) range.step = OneIn(2) ? INT64_MIN : INT64_MAX;
    return range;
  }

 private:
  int64_t AnyBound(int64_t extent) {
    if (OneIn(40)) return OneIn(2) ? INT64_MIN : INT64_MAX;
    return Number(-extent - 2, extent + 2);
  }

  DimRanges AnyList(int64_t extent) {
    DimRanges list;
    const int64_t num_ranges = Number(0, 4);
    for (int64_t i = 0; i < num_ranges; ++i) {
      if (OneIn(6)) {
        list.ranges.push_back(AnyRange(extent));
        continue;
      }
      const int64_t start = Number(0, extent);
      list.ranges.push_back({start, start + Number(0, 3), std::nullopt});
    }
    return list;
  }

  Shard AnyShard() {
    Shard shard;
    shard.count = static_cast<uint32_t>(OneIn(30) ? 0 : Number(1, 5));
    shard.index =
        static_cast<uint32_t>(Number(0, OneIn(20) ? 5 : std::max(0, int(shard.count) - 1)));
    if (OneIn(2)) shard.multiple = static_cast<uint32_t>(Number(0, 4));
    if (OneIn(3)) shard.padded_size = static_cast<uint64_t>(Number(0, 12));
    shard.allow_uneven = !OneIn(5);
    return shard;
  }

  std::mt19937_64 engine_;
};

}  // namespace tensord::naive
