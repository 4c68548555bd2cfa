// The byte-wise order of many names with long common beginnings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace tensord {

// Indices of the `num_names` names, fewer than 2^32, in byte-wise order; equal names stand beside
// each other. `name` gives a name of less than 4 GiB by its index, the same at each call. Takes
// time in proportion to the names' bytes, whoever has chosen them, and 16 bytes a name while it
// runs.
std::vector<uint32_t> NameOrder(size_t num_names,
                                absl::FunctionRef<absl::string_view(uint32_t)> name);

}  // namespace tensord
