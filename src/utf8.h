// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace tensord {

struct Utf8Char {
  uint32_t code_point = 0;
  size_t size_bytes = 0;  // 0: the text does not begin with a valid character.
};

// The first character of `text`, which is not empty.
Utf8Char DecodeUtf8(absl::string_view text);

// Where the first invalid byte stands; text.size() when all is valid.
size_t FindInvalidUtf8(absl::string_view text);

inline bool IsValidUtf8(absl::string_view text) { return FindInvalidUtf8(text) == text.size(); }

// The longest prefix of valid `text` that has at most `max_bytes` and ends on a character boundary.
absl::string_view Utf8Prefix(absl::string_view text, size_t max_bytes);

}  // namespace tensord
