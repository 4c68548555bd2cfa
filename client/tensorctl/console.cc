#include "client/tensorctl/console.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/tensorctl/output_file.h"
#include "src/utf8.h"

namespace tensord::ctl {
namespace {

bool ColourWanted() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || absl::string_view(term) != "dumb");
}

// The library escapes C0 only. DEL, C1 and bidirectional marks move a terminal's cursor or text
// too; they stand only inside strings, where \u escapes mean the same.
std::string EscapeTerminalControls(absl::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const Utf8Char c = DecodeUtf8(json);
    if ((c.code_point >= 0x7f && c.code_point <= 0x9f) || c.code_point == 0x61c ||
        (c.code_point >= 0x200e && c.code_point <= 0x200f) ||
        (c.code_point >= 0x2028 && c.code_point <= 0x202e) ||
        (c.code_point >= 0x2066 && c.code_point <= 0x2069) || c.code_point == 0xfeff) {
      absl::StrAppend(&out, "\\u", absl::Hex(c.code_point, absl::kZeroPad4));
    } else {
      out.append(json.data(), c.size_bytes);
    }
    json.remove_prefix(c.size_bytes);
  }
  return out;
}

std::string Dump(const Json& object) {
  return EscapeTerminalControls(object.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Console::Console(bool json)
    : json_(json),
      output_is_terminal_(isatty(STDOUT_FILENO) == 1),
      error_is_terminal_(isatty(STDERR_FILENO) == 1),
      bold_(output_is_terminal_ && ColourWanted()) {}

absl::Status Console::Print(absl::string_view text) const {
  return WriteAll(STDOUT_FILENO, text, "standard output");
}

absl::Status Console::PrintJson(const Json& object) const { return Print(Dump(object) + "\n"); }

absl::Status Console::PrintJsonArray(const std::vector<Json>& elements) const {
  std::string text = "[";
  for (const Json& element : elements) {
    absl::StrAppend(&text, text.size() == 1 ? "\n" : ",\n", Dump(element));
  }
  return Print(text + (elements.empty() ? "]\n" : "\n]\n"));
}

absl::Status Console::PrintTable(const Table& table) const { return Print(table.Render(bold_)); }

void Console::Warn(absl::string_view text) const {
  (void)WriteAll(STDERR_FILENO, absl::StrCat(text, "\n"), "standard error");
}

}  // namespace tensord::ctl
