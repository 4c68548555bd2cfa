// The root of a store, and the only way to the files below it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "src/file_identity.h"
#include "src/owned_fd.h"

namespace tensord {

// Confines every open to one directory. All paths are relative to the root; a real path is one
// without symlinks and without `.` or `..`, "" being the root itself. Thread-safe. Messages name
// the cause, never a path of the host.
class StoreRoot {
 public:
  // Errors: NOT_FOUND or FAILED_PRECONDITION naming `path` as given.
  static absl::StatusOr<std::shared_ptr<const StoreRoot>> Open(const std::string& path);

  // Follows all symlinks of `path`. FILE_NOT_FOUND when they lead nowhere; FILE_INVALID when they
  // leave the root or loop. The answer is a claim of this moment only: the Open functions hold it.
  absl::StatusOr<std::string> Resolve(const std::string& path) const;

  // Opens a regular file for reading, without following any symlink and without waiting for a FIFO.
  // FILE_NOT_FOUND; FILE_INVALID for anything that is no regular file; READ_ERROR for what may not
  // or cannot be opened.
  absl::StatusOr<OwnedFd> OpenFile(const std::string& real_path) const;

  // Opens a directory for listing; errors as OpenFile.
  absl::StatusOr<OwnedFd> OpenDirectory(const std::string& real_path) const;

  // What the file is at this moment; errors as OpenFile. Needs no right to read it.
  absl::StatusOr<FileIdentity> Identify(const std::string& real_path) const;

  // What is at this path, symlinks themselves included; nullopt with errno set when nothing is.
  std::optional<struct stat> Stat(const std::string& real_path) const;

  // Whether the path, its symlinks followed wherever they lead, is a directory.
  bool IsDirectory(const std::string& path) const;

  // The text of the symlink at this path; nullopt when there is none.
  std::optional<std::string> ReadLink(const std::string& real_path) const;

  // The path that the host knows, for those who watch it. Not for messages.
  std::string HostPath(const std::string& real_path) const;

  // Whether both are the same directory under the same path, so that real paths mean the same.
  bool IsSameAs(const StoreRoot& other) const;

  // When the directory's list of names last changed.
  absl::StatusOr<int64_t> DirectoryMtimeNs(const std::string& real_path) const;

 private:
  StoreRoot(OwnedFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::StatusOr<OwnedFd> OpenBeneath(const std::string& real_path, int flags) const;

  const OwnedFd fd_;
  const std::string path_;  // Absolute and real, without a slash at its end ("" is "/").
};

}  // namespace tensord
