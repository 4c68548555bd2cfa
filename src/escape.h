// Makes names from files and clients fit for an error, a log line or a terminal.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace tensord {

// Long enough for any honest name, short enough that an error stays far below the 8 KiB that gRPC
// allows for metadata.
inline constexpr size_t kMaxShownBytes = 256;

// `text` with control characters (C0, DEL, C1), bidirectional marks (U+202A-202E, U+2066-2069),
// U+2028/9, backslashes and bytes that are not UTF-8 written as \n, \xNN or \u{NNNN}. Other Unicode
// stays as it is.
std::string Escape(absl::string_view text);

// Escape, cut to kMaxShownBytes at a character boundary with "..." behind, in double quotes (inner
// ones escaped).
std::string Quote(absl::string_view name);

}  // namespace tensord
