#include "src/utf8.h"

#include <cstring>

namespace tensord {

Utf8Char DecodeUtf8(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  size_t size = 0;
  uint32_t smallest = 0;  // The smallest code point that needs this many bytes.
  uint32_t code_point = 0;
  if ((first & 0xe0) == 0xc0) {
    size = 2, smallest = 0x80, code_point = first & 0x1f;
  } else if ((first & 0xf0) == 0xe0) {
    size = 3, smallest = 0x800, code_point = first & 0x0f;
  } else if ((first & 0xf8) == 0xf0) {
    size = 4, smallest = 0x10000, code_point = first & 0x07;
  } else {
    return {};
  }
  if (text.size() < size) return {};
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code_point = code_point << 6 | (byte(i) & 0x3f);
  }
  const bool surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
  if (code_point < smallest || surrogate || code_point > 0x10ffff) return {};
  return {code_point, size};
}

size_t FindInvalidUtf8(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    // Headers are almost all ASCII: skip eight such bytes at a time.
    uint64_t word = 0;
    while (text.size() - i >= sizeof(word)) {
      std::memcpy(&word, text.data() + i, sizeof(word));
      if ((word & 0x8080808080808080) != 0) break;
      i += sizeof(word);
    }
    if (i == text.size()) break;
    const Utf8Char c = DecodeUtf8(text.substr(i));
    if (c.size_bytes == 0) return i;
    i += c.size_bytes;
  }
  return i;
}

absl::string_view Utf8Prefix(absl::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  while (max_bytes > 0 && (static_cast<unsigned char>(text[max_bytes]) & 0xc0) == 0x80) --max_bytes;
  return text.substr(0, max_bytes);
}

}  // namespace tensord
