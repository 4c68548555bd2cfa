#include "src/file_identity.h"

#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <map>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "src/error.h"

namespace tensord {
namespace {

// Of an error, for clients too: how a file changed.
constexpr char kFaultDetail[] = "fault";
constexpr char kTruncated[] = "truncated";

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

absl::string_view KindName(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a FIFO";
    case S_IFSOCK:
      return "a socket";
    case S_IFCHR:
    case S_IFBLK:
      return "a device";
    default:
      return "of an unknown kind";
  }
}

}  // namespace

absl::StatusOr<FileIdentity> IdentityOf(const struct stat& status) {
  if (!S_ISREG(status.st_mode)) {
    return MakeError(ErrorReason::kFileInvalid,
                     absl::StrCat("not a regular file, but ", KindName(status.st_mode)));
  }
  return FileIdentity{
      .device = status.st_dev,
      .inode = status.st_ino,
      .size_bytes = static_cast<uint64_t>(status.st_size),
      .mtime_ns = Nanoseconds(status.st_mtim),
      .ctime_ns = Nanoseconds(status.st_ctim),
  };
}

absl::StatusOr<FileIdentity> IdentifyFile(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return SystemError("cannot stat the file", errno);
  return IdentityOf(status);
}

absl::Status CheckSameContent(const FileIdentity& before, const FileIdentity& now) {
  if (now.size_bytes < before.size_bytes) return Truncated(before.size_bytes, now.size_bytes);
  if (now.size_bytes != before.size_bytes) {
    return MakeError(ErrorReason::kFileChanged,
                     absl::StrCat("the file changed while in use: it had ", before.size_bytes,
                                  " bytes, now ", now.size_bytes));
  }
  if (now.mtime_ns != before.mtime_ns) {
    return MakeError(ErrorReason::kFileChanged,
                     "the file changed while in use: its modification time differs");
  }
  return absl::OkStatus();
}

absl::Status Truncated(uint64_t size_bytes, uint64_t end_bytes) {
  return MakeError(ErrorReason::kFileChanged,
                   absl::StrCat("the file changed while in use: it had ", size_bytes,
                                " bytes, now it ends at byte ", end_bytes),
                   {{kFaultDetail, kTruncated}});
}

bool IsTruncation(const absl::Status& status) {
  const std::map<std::string, std::string> details = ErrorDetails(status);
  const auto fault = details.find(kFaultDetail);
  return fault != details.end() && fault->second == kTruncated;
}

absl::Status SystemError(absl::string_view what, int error_number) {
  return MakeError(ErrorReason::kReadError,
                   absl::StrCat(what, ": ", std::generic_category().message(error_number)));
}

}  // namespace tensord
