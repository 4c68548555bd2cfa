// The file behind --config.
#pragma once

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

// Whether a value could not stand in a line: all below a blank but tabs.
bool HasControlCharacter(absl::string_view text);

// Reads lines `key = value`; white space around both is dropped, and one pair of double quotes
// around the value. Empty lines and lines that begin with # are passed over. INVALID_ARGUMENT names
// the line of anything else.
absl::StatusOr<std::vector<ConfigEntry>> ParseConfig(absl::string_view text);

// The entries of a file. Errors: as ParseConfig; NOT_FOUND and FAILED_PRECONDITION where it cannot
// be read; INVALID_ARGUMENT above kMaxConfigFileBytes. All name the file.
absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path);

}  // namespace tensord
