// SHA-256 of bytes in memory.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace tensord {

// 32 raw bytes.
std::string Sha256(absl::string_view bytes);

}  // namespace tensord
