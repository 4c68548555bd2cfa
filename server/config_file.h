// The file behind --config.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord {

// Far above any honest file.
inline constexpr size_t kMaxConfigFileBytes = 1 << 20;

// A line `key = value`.
struct ConfigEntry {
  std::string key;
  std::string value;
  int line = 0;  // From 1.
};

// How ParseConfig would read `value` again from a line; absent where no line can hold it.
std::optional<std::string> ConfigText(absl::string_view value);

// Reads lines `key = value`; white space around both is dropped, and one pair of double quotes
// around the value. A # that begins a line, or stands behind a blank and outside of the quotes,
// begins a comment. INVALID_ARGUMENT names the line of anything else.
absl::StatusOr<std::vector<ConfigEntry>> ParseConfig(absl::string_view text);

// The entries of a file. Errors: as ParseConfig; NOT_FOUND and FAILED_PRECONDITION where it cannot
// be read; INVALID_ARGUMENT above kMaxConfigFileBytes. All name the file.
absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path);

}  // namespace tensord
