#include "src/dim_resolver.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// Wide enough for every sum and product here: extents have 64 bits, shards multiply 32 with 66.
__extension__ using Int128 = __int128;

class Resolver {
 public:
  Resolver(size_t dimension, uint64_t extent) : dimension_(dimension), extent_(extent) {}

  absl::StatusOr<ResolvedDim> operator()(const DimIndex& index) const {
    const Int128 position = index.index < 0 ? Int128{index.index} + extent_ : Int128{index.index};
    if (position < 0 || position >= extent_) {
      return Error(ErrorReason::kIndexOutOfBounds,
                   absl::StrCat("index ", index.index, " leaves dimension ", dimension_,
                                " of extent ", extent_));
    }
    ResolvedDim resolved;
    Append({static_cast<uint64_t>(position), 1, 1}, resolved);
    resolved.is_dropped = true;
    return resolved;
  }

  absl::StatusOr<ResolvedDim> operator()(const DimRange& range) const {
    ResolvedDim resolved;
    TENSORD_ASSIGN_OR_RETURN(const PositionRange positions, Clamp(range));
    Append(positions, resolved);
    return resolved;
  }

  absl::StatusOr<ResolvedDim> operator()(const DimRanges& list) const {
    ResolvedDim resolved;
    for (const DimRange& range : list.ranges) {
      TENSORD_ASSIGN_OR_RETURN(const PositionRange positions, Clamp(range));
      if (positions.count > extent_ - resolved.count) {
        return Error(ErrorReason::kBadSlice,
                     absl::StrCat("a list of ", list.ranges.size(),
                                  " ranges selects more elements than dimension ", dimension_,
                                  " of extent ", extent_, " has"));
      }
      Append(positions, resolved);
    }
    return resolved;
  }

  absl::StatusOr<ResolvedDim> operator()(const Shard& shard) const {
    if (shard.count == 0) {
      return Error(ErrorReason::kBadSlice, absl::StrCat("shard of dimension ", dimension_,
                                                        ": count is 0, wanted is at least 1"));
    }
    TENSORD_RETURN_IF_ERROR(CheckShard(shard));
    const Int128 multiple = std::max<Int128>(shard.multiple, 1);
    const Int128 size = std::max(extent_, shard.padded_size);
    const Int128 unit = shard.count * multiple;
    const Int128 rows = (size + unit - 1) / unit * multiple;
    const Int128 extent = extent_;
    const Int128 begin = std::min(shard.index * rows, extent);
    const Int128 end = std::min((shard.index + Int128{1}) * rows, extent);
    ResolvedDim resolved;
    Append({static_cast<uint64_t>(begin), static_cast<uint64_t>(end - begin), 1}, resolved);
    return resolved;
  }

 private:
  // shard.count > 0.
  absl::Status CheckShard(const Shard& shard) const {
    const std::string name = absl::StrCat("shard ", shard.index, " of ", shard.count);
    if (shard.index >= shard.count) {
      return Error(ErrorReason::kBadSlice,
                   absl::StrCat(name, " of dimension ", dimension_, " of extent ", extent_,
                                ": the index must be less than the count"));
    }
    if (shard.multiple <= 1 && shard.padded_size == 0 && !shard.allow_uneven &&
        extent_ % shard.count != 0) {
      return Error(ErrorReason::kUnevenShard,
                   absl::StrCat(name, ": dimension ", dimension_, " of extent ", extent_,
                                " does not divide into ", shard.count,
                                " equal parts; set multiple, padded_size or allow_uneven"));
    }
    return absl::OkStatus();
  }

  // As Python's slice.indices: a bound that leaves the dimension moves to its nearest end.
  absl::StatusOr<PositionRange> Clamp(const DimRange& range) const {
    const Int128 step = range.step.value_or(1);
    if (step == 0) {
      return Error(ErrorReason::kBadSlice,
                   absl::StrCat("step 0 on dimension ", dimension_, " of extent ", extent_,
                                ": a step is positive or negative"));
    }
    const Int128 extent = extent_;
    const Int128 lowest = step < 0 ? -1 : 0;
    const Int128 highest = step < 0 ? extent - 1 : extent;
    const auto clamp = [&](std::optional<int64_t> bound, Int128 otherwise) {
      if (!bound) return otherwise;
      return std::clamp(*bound < 0 ? *bound + extent : Int128{*bound}, lowest, highest);
    };
    const Int128 start = clamp(range.start, step < 0 ? highest : lowest);
    const Int128 stop = clamp(range.stop, step < 0 ? lowest : highest);
    const Int128 length = step < 0 ? start - stop : stop - start;
    const Int128 stride = step < 0 ? -step : step;
    if (length <= 0) return PositionRange();
    return PositionRange{static_cast<uint64_t>(start),
                         static_cast<uint64_t>((length - 1) / stride + 1),
                         static_cast<int64_t>(step)};
  }

  static void Append(PositionRange positions, ResolvedDim& resolved) {
    if (positions.count == 0) return;
    if (positions.count == 1) positions.step = 1;
    resolved.count += positions.count;
    if (!resolved.ranges.empty()) {
      PositionRange& last = resolved.ranges.back();
      if (last.step == 1 && positions.step == 1 && positions.first == last.first + last.count) {
        last.count += positions.count;
        return;
      }
    }
    resolved.ranges.push_back(positions);
  }

  absl::Status Error(ErrorReason reason, absl::string_view message) const {
    return MakeError(reason, message,
                     {{"dimension", absl::StrCat(dimension_)}, {"extent", absl::StrCat(extent_)}});
  }

  const size_t dimension_;
  const uint64_t extent_;
};

}  // namespace

ResolvedDim WholeDim(uint64_t extent) {
  ResolvedDim resolved;
  resolved.count = extent;
  if (extent > 0) resolved.ranges.push_back({0, extent, 1});
  return resolved;
}

absl::StatusOr<ResolvedDim> ResolveDim(const Dim& dim, size_t dimension, uint64_t extent) {
  return std::visit(Resolver(dimension, extent), dim);
}

}  // namespace tensord
