// A file's identity, and its bytes mapped read-only.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace tensord {

// What fstat says of a file at one moment. device, inode and ctime decide only what a scan looks at
// again.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size_bytes = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// A whole regular file mapped read-only for as long as the object lives. Thread-safe. Truncating
// the file in place makes touching bytes() raise SIGBUS: check with CheckUnchanged first, and
// replace files by rename.
class MappedFile {
 public:
  // Takes ownership of `fd`, also on error. An empty file has an empty span.
  // Errors: FAILED_PRECONDITION for anything but a regular file; READ_ERROR otherwise.
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Map(int fd);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  absl::Span<const std::byte> bytes() const { return {data_, identity_.size_bytes}; }
  const FileIdentity& identity() const { return identity_; }

  // FILE_CHANGED when the open file's size or mtime differ from what they were at Map. One fstat.
  absl::Status CheckUnchanged() const;

 private:
  MappedFile(int fd, const std::byte* data, const FileIdentity& identity);

  const int fd_;
  const std::byte* const data_;
  const FileIdentity identity_;
};

}  // namespace tensord
