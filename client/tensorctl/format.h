// Numbers and shapes as people read them. Programs get exact numbers, in JSON.
#pragma once

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace tensord::ctl {

// "0 B", "1023 B", "1.0 KiB", "548.1 MiB": powers of 1024, one decimal.
std::string HumanSize(uint64_t bytes);

// "999", "1.2k", "124.4M", "671.0B": powers of 1000, one decimal.
std::string HumanCount(uint64_t count);

// "[50257, 768]"; "[]" for a scalar.
std::string ShapeText(absl::Span<const uint64_t> shape);

// "1 file", "3 files".
std::string Plural(uint64_t count, const std::string& noun);

}  // namespace tensord::ctl
