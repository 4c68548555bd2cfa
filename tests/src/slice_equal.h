// Equality of slices, which the public header cannot default in C++17.
#pragma once

#include <algorithm>
#include <tuple>
#include <variant>

#include "tensord/slice.h"

namespace tensord {

inline bool IsEqual(const DimRange& a, const DimRange& b) {
  return std::tie(a.start, a.stop, a.step) == std::tie(b.start, b.stop, b.step);
}

// Of what a text can say: lists and shards are never equal.
inline bool IsEqual(const Dim& a, const Dim& b) {
  if (a.index() != b.index()) return false;
  if (const auto* index = std::get_if<DimIndex>(&a)) {
    return index->index == std::get<DimIndex>(b).index;
  }
  const auto* range = std::get_if<DimRange>(&a);
  return range != nullptr && IsEqual(*range, std::get<DimRange>(b));
}

inline bool IsEqual(const Slice& a, const Slice& b) {
  return a.ellipsis == b.ellipsis && a.dims.size() == b.dims.size() &&
         std::equal(a.dims.begin(), a.dims.end(), b.dims.begin(),
                    [](const Dim& left, const Dim& right) { return IsEqual(left, right); });
}

}  // namespace tensord
