// "Did you mean": the names nearest to one that does not exist.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace tensord {

inline constexpr size_t kMaxSuggestions = 3;

// At most kMaxSuggestions of the `count` names `name_at(0..count-1)`, which stand in byte-wise
// order, nearest to `wanted` first; none when nothing is near. The work is bounded whatever the
// count: a few milliseconds.
std::vector<std::string> ClosestNames(absl::string_view wanted, size_t count,
                                      absl::FunctionRef<absl::string_view(size_t)> name_at);

// "; closest: "a", "b"", or "" for none. The names are quoted.
std::string ShowClosest(const std::vector<std::string>& names);

}  // namespace tensord
