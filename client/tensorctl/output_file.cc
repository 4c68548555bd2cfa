#include "client/tensorctl/output_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

constexpr size_t kReadBytes = 1 << 20;

absl::Status SystemError(absl::string_view what, absl::string_view path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", Quote(path)));
}

absl::Status CheckTarget(const std::string& path) {
  struct stat target = {};
  if (lstat(path.c_str(), &target) != 0 || S_ISREG(target.st_mode) || S_ISLNK(target.st_mode)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat(Quote(path), " is not a regular file, so it cannot be replaced"));
}

// The lock keeps two commands from writing one file. Whoever opened the partial file just before
// another command renamed it holds the other's finished file: then the names differ.
absl::Status Lock(int fd, const std::string& path) {
  struct stat opened = {};
  struct stat named = {};
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &opened) != 0 ||
      stat(path.c_str(), &named) != 0 || opened.st_ino != named.st_ino ||
      opened.st_dev != named.st_dev) {
    return absl::AbortedError(absl::StrCat("another command writes ", Quote(path)));
  }
  return absl::OkStatus();
}

}  // namespace

std::string PartialPath(const std::string& path) { return path + ".partial"; }

absl::StatusOr<OutputFile> OutputFile::Create(const std::string& path) {
  TENSORD_ASSIGN_OR_RETURN(OutputFile file, Open(path, /*is_kept=*/false));
  TENSORD_RETURN_IF_ERROR(file.Clear());
  return file;
}

absl::StatusOr<OutputFile> OutputFile::Resume(const std::string& path) {
  TENSORD_ASSIGN_OR_RETURN(OutputFile file, Open(path, /*is_kept=*/true));
  if (lseek(file.fd_, 0, SEEK_END) < 0) return SystemError("seek in", PartialPath(path));
  return file;
}

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path, bool is_kept) {
  TENSORD_RETURN_IF_ERROR(CheckTarget(path));
  const std::string partial = PartialPath(path);
  const int fd =
      open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
  if (fd < 0) return SystemError("create", partial);
  absl::Status status = CheckTarget(partial);
  if (status.ok()) status = Lock(fd, partial);
  if (!status.ok()) {
    close(fd);
    return status;
  }
  return OutputFile(path, fd, is_kept);
}

OutputFile::OutputFile(std::string path, int fd, bool is_kept)
    : path_(std::move(path)), is_kept_(is_kept), fd_(fd) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), is_kept_(other.is_kept_), fd_(std::exchange(other.fd_, -1)) {}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  struct stat now = {};
  const bool is_empty = fstat(fd_, &now) == 0 && now.st_size == 0;
  if (!is_kept_ || is_empty) unlink(PartialPath(path_).c_str());
  close(fd_);
}

absl::StatusOr<uint64_t> OutputFile::Size() const {
  struct stat now = {};
  if (fstat(fd_, &now) != 0) return SystemError("look at", PartialPath(path_));
  return static_cast<uint64_t>(now.st_size);
}

absl::Status OutputFile::ReadBack(uint64_t size_bytes,
                                  absl::FunctionRef<void(absl::string_view bytes)> take) const {
  std::vector<char> buffer(kReadBytes);
  for (uint64_t offset = 0; offset < size_bytes;) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), size_bytes - offset);
    const ssize_t got = pread(fd_, buffer.data(), wanted, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return SystemError("read", PartialPath(path_));
    take(absl::string_view(buffer.data(), static_cast<size_t>(got)));
    offset += static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Clear() {
  if (ftruncate(fd_, 0) != 0 || lseek(fd_, 0, SEEK_SET) < 0) {
    return SystemError("truncate", PartialPath(path_));
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Write(absl::string_view bytes) { return WriteAll(fd_, bytes, path_); }

absl::Status OutputFile::Commit() {
  const std::string partial = PartialPath(path_);
  // Renamed before it is closed, so that the lock covers the renaming.
  if (rename(partial.c_str(), path_.c_str()) != 0) return SystemError("rename to", path_);
  if (close(std::exchange(fd_, -1)) != 0) return SystemError("write", path_);
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, absl::string_view bytes, absl::string_view name) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError("write", name);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace tensord::ctl
