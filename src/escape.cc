#include "src/escape.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "src/utf8.h"

namespace tensord {
namespace {

bool IsUnsafe(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0x061c || c == 0x2028 ||
         c == 0x2029 || c == 0xfeff;
}

void AppendEscaped(std::string& out, uint32_t c) {
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      c < 0x80 ? absl::StrAppendFormat(&out, "\\x%02x", c)
               : absl::StrAppendFormat(&out, "\\u{%x}", c);
  }
}

// Appends the escaped form of the first character of `text` and returns how many bytes it took.
size_t AppendCharacter(std::string& out, absl::string_view text, bool escape_quotes) {
  const Utf8Char c = DecodeUtf8(text);
  if (c.size_bytes == 0) {
    absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(text[0]));
    return 1;
  }
  if (c.code_point == '\\') {
    out += "\\\\";
  } else if (c.code_point == '"' && escape_quotes) {
    out += "\\\"";
  } else if (IsUnsafe(c.code_point)) {
    AppendEscaped(out, c.code_point);
  } else {
    out.append(text.data(), c.size_bytes);
  }
  return c.size_bytes;
}

}  // namespace

std::string Escape(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) text.remove_prefix(AppendCharacter(out, text, /*escape_quotes=*/false));
  return out;
}

std::string Quote(absl::string_view name) {
  std::string out = "\"";
  while (!name.empty()) {
    const size_t before = out.size();
    name.remove_prefix(AppendCharacter(out, name, /*escape_quotes=*/true));
    if (out.size() > kMaxShownBytes) {
      out.resize(before);
      out += "...";
      break;
    }
  }
  out += '"';
  return out;
}

}  // namespace tensord
