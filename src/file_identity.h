// Which file, and which state of it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct stat;

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

// FAILED_PRECONDITION (FILE_INVALID, no variant) for anything but a regular file.
absl::StatusOr<FileIdentity> IdentityOf(const struct stat& status);

// The same for an open file; READ_ERROR when fstat fails.
absl::StatusOr<FileIdentity> IdentifyFile(int fd);

// FILE_CHANGED when size or mtime differ: the content may have. A rename over the file or a chmod
// changes only ctime.
absl::Status CheckSameContent(const FileIdentity& before, const FileIdentity& now);

// FILE_CHANGED of a file that had `size_bytes` and now ends at `end_bytes` already.
absl::Status Truncated(uint64_t size_bytes, uint64_t end_bytes);

// Whether an error is of those, or was made of one by Annotate.
bool IsTruncation(const absl::Status& status);

// READ_ERROR of `what` ("cannot map the file") with errno's text.
absl::Status SystemError(absl::string_view what, int error_number);

}  // namespace tensord
