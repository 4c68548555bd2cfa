// The order in which people count: "layers.2" before "layers.10".
#pragma once

#include "absl/strings/string_view.h"

namespace tensord {

// Negative, 0 or positive as `a` stands before, equals or stands behind `b`. Runs of decimal digits
// compare as numbers of any length, everything else byte-wise; names that differ only in leading
// zeros fall back to bytes, so that 0 means equal.
int CompareNatural(absl::string_view a, absl::string_view b);

}  // namespace tensord
