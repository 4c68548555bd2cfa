// Files with secrets, read whole.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tensord {

// Certificates, keys and tokens are kilobytes; whatever is larger is another file.
inline constexpr size_t kMaxCredentialFileBytes = 1 << 20;

struct CredentialFile {
  std::string bytes;
  bool others_can_read = false;  // Users other than the owner, by the file's mode.
};

// INVALID_ARGUMENT naming the path for a file that cannot be read, is no regular file, or is larger
// than kMaxCredentialFileBytes. Never names the content.
absl::StatusOr<CredentialFile> ReadCredentialFile(const std::string& path);

}  // namespace tensord
