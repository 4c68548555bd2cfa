// Files with secrets, read whole.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace tensord {

// Certificates, keys and tokens are kilobytes; whatever is larger is another file.
inline constexpr size_t kMaxCredentialFileBytes = 1 << 20;

struct CredentialFile {
  std::string bytes;
  // By the file's mode: all users, or a group although the file is ours. Where it is another's, as
  // a secret that a kubelet mounts, the group's right may be what we read it by.
  bool others_can_read = false;
};

// INVALID_ARGUMENT naming the path for a file that cannot be read, is no regular file, or is larger
// than kMaxCredentialFileBytes. Never names the content.
absl::StatusOr<CredentialFile> ReadCredentialFile(const std::string& path);

}  // namespace tensord
