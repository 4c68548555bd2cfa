// Percentiles of measured values.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/types/span.h"

namespace tensord::ctl {

// The smallest of the ascending `values` that at least `percent` percent of them do not exceed; 0
// without values. `percent` is above 0 and at most 100.
inline double Percentile(absl::Span<const double> values, double percent) {
  if (values.empty()) return 0;
  const auto rank =
      static_cast<size_t>(std::ceil(percent / 100 * static_cast<double>(values.size())));
  return values[std::clamp<size_t>(rank, 1, values.size()) - 1];
}

}  // namespace tensord::ctl
