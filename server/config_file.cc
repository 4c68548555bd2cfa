#include "server/config_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/owned_fd.h"

namespace tensord {
namespace {

absl::Status SystemError(const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrCat("cannot read ", path, ": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
}

absl::StatusOr<std::string> ReadWhole(const std::string& path) {
  const OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return SystemError(path);
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t size = read(fd.get(), buffer, sizeof(buffer));
    if (size < 0) return SystemError(path);
    if (size == 0) return text;
    text.append(buffer, static_cast<size_t>(size));
    if (text.size() > kMaxConfigFileBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, " has more than ", kMaxConfigFileBytes, " bytes"));
    }
  }
}

absl::string_view Unquoted(absl::string_view value) {
  const bool quoted =
      value.size() >= 2 && absl::StartsWith(value, "\"") && absl::EndsWith(value, "\"");
  return quoted ? value.substr(1, value.size() - 2) : value;
}

// All below a blank but tabs.
bool HasControlCharacter(absl::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_iscntrl(c) && c != '\t'; });
}

// `text`: what stands behind the `=`.
absl::string_view WithoutComment(absl::string_view text) {
  const bool is_quoted = absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "\"");
  for (size_t at = text.find('#'); at != text.npos; at = text.find('#', at + 1)) {
    if (at == 0 || !absl::ascii_isspace(static_cast<unsigned char>(text[at - 1]))) continue;
    const absl::string_view before = absl::StripAsciiWhitespace(text.substr(0, at));
    if (!is_quoted || (before.size() > 1 && absl::EndsWith(before, "\""))) return before;
  }
  return absl::StripAsciiWhitespace(text);
}

}  // namespace

std::optional<std::string> ConfigText(absl::string_view value) {
  if (HasControlCharacter(value)) return std::nullopt;
  const std::string quoted = absl::StrCat("\"", value, "\"");
  for (const absl::string_view text : {value, absl::string_view(quoted)}) {
    if (Unquoted(WithoutComment(absl::StrCat(" ", text))) == value) return std::string(text);
  }
  return std::nullopt;
}

absl::StatusOr<std::vector<ConfigEntry>> ParseConfig(absl::string_view text) {
  std::vector<ConfigEntry> entries;
  int line_number = 0;
  for (const absl::string_view raw : absl::StrSplit(text, '\n')) {
    ++line_number;
    const absl::string_view line = absl::StripAsciiWhitespace(raw);
    if (line.empty() || line[0] == '#') continue;
    if (HasControlCharacter(line)) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line_number, ": has a control character: ", Quote(line)));
    }
    const size_t equals = line.find('=');
    const absl::string_view key = absl::StripAsciiWhitespace(line.substr(0, equals));
    if (equals == absl::string_view::npos || key.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line_number, ": wanted key = value, got ", Quote(line)));
    }
    const absl::string_view value = Unquoted(WithoutComment(line.substr(equals + 1)));
    entries.push_back({std::string(key), std::string(value), line_number});
  }
  return entries;
}

absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadWhole(path);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::vector<ConfigEntry>> entries = ParseConfig(*text);
  if (!entries.ok()) return Annotate(entries.status(), path);
  return entries;
}

}  // namespace tensord
