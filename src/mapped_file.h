// A file's bytes, mapped read-only.
#pragma once

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/file_identity.h"

namespace tensord {

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
  explicit MappedFile(int fd) : fd_(fd) {}

  // Set by Map, before anybody shares the object.
  const int fd_;
  const std::byte* data_ = nullptr;
  FileIdentity identity_;
};

}  // namespace tensord
