// Any pattern is read or refused; one that is read matches as a matcher says that tries everything.
// The input is the pattern, a zero byte, and a name.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "src/error.h"
#include "src/glob.h"
#include "src/utf8.h"

namespace {

constexpr size_t kMostOracleBytes = 24;  // Its time grows exponentially with the stars.

void Check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

size_t CharacterBytes(absl::string_view text) {
  size_t size = 1;
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) ++size;
  return size;
}

// Of patterns without braces and backslashes.
bool NaiveMatches(absl::string_view pattern, absl::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    return NaiveMatches(pattern.substr(1), name) ||
           (!name.empty() && NaiveMatches(pattern, name.substr(1)));
  }
  if (name.empty()) return false;
  if (pattern[0] == '?') {
    return NaiveMatches(pattern.substr(1), name.substr(CharacterBytes(name)));
  }
  return pattern[0] == name[0] && NaiveMatches(pattern.substr(1), name.substr(1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  const absl::string_view pattern = input.substr(0, input.find('\0'));
  const absl::string_view name = input.substr(std::min(size, pattern.size() + 1));
  if (tensord::FindInvalidUtf8(pattern) != pattern.size()) return 0;  // Never in a request.
  if (tensord::FindInvalidUtf8(name) != name.size()) return 0;
  const auto glob = tensord::Glob::Parse(pattern);
  if (!glob.ok()) {
    Check(tensord::ReasonOf(glob.status()) == tensord::ErrorReason::kBadRequest,
          "the reason is BAD_REQUEST");
    Check(glob.status().message().size() < 1500, "the message is short");
    return 0;
  }
  Check(pattern.size() <= tensord::kMaxGlobBytes, "a pattern is bounded");
  const bool matches = glob->Matches(name);
  if (pattern.size() + name.size() > kMostOracleBytes) return 0;
  if (pattern.find_first_of("{}\\") != absl::string_view::npos) return 0;
  Check(matches == NaiveMatches(pattern, name), "it matches as the naive one does");
  return 0;
}
