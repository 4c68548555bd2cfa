// The version of a model: equal only if its bytes are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tensord {

// What of a file enters the version. No device, inode or ctime: chown, chmod, remounts and copies
// that keep mtime have the same version on every replica.
struct VersionedFile {
  std::string name;  // In the model.
  uint64_t size_bytes = 0;
  std::string header_digest;  // Any text, e.g. SHA-256; empty for a file that is not served.
  std::string content_tag;    // The hub blob's hash, else the mtime in nanoseconds.
};

// 32 lower-case hex digits. The order of `files` does not matter.
std::string ComputeVersion(std::vector<VersionedFile> files);

}  // namespace tensord
