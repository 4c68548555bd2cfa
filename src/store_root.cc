#include "src/store_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

struct FreeDeleter {
  void operator()(char* text) const { free(text); }
};

std::unique_ptr<char, FreeDeleter> RealPath(const std::string& path) {
  return std::unique_ptr<char, FreeDeleter>(realpath(path.c_str(), nullptr));
}

std::string ErrnoText(int error) { return std::generic_category().message(error); }

absl::Status OpenError(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return MakeError(ErrorReason::kFileNotFound, "does not exist");
    case ELOOP:
      return MakeError(ErrorReason::kFileInvalid, "was replaced by a symlink since the scan");
    case EXDEV:
      return MakeError(ErrorReason::kFileInvalid, "leads out of the store");
    // The file may be sound: what the system lacks now, or refuses, it may have or grant later.
    case EACCES:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EPERM:
    case ESTALE:
      return MakeError(ErrorReason::kReadError,
                       absl::StrCat("cannot be opened: ", ErrnoText(error)));
    default:
      return MakeError(ErrorReason::kFileInvalid,
                       absl::StrCat("cannot be opened: ", ErrnoText(error)));
  }
}

// Kernels before 5.6 and some sandboxes lack openat2: walk the components instead, refusing
// symlinks at each.
int OpenByWalking(int root, const std::string& path, int flags) {
  OwnedFd directory(fcntl(root, F_DUPFD_CLOEXEC, 0));
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  for (size_t i = 0; i + 1 < parts.size() && directory.get() >= 0; ++i) {
    directory = OwnedFd(
        openat(directory.get(), parts[i].c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  if (directory.get() < 0) return -1;
  return openat(directory.get(), parts.back().c_str(), flags | O_NOFOLLOW);
}

int OpenAt2(int root, const std::string& path, int flags) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how)));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const StoreRoot>> StoreRoot::Open(const std::string& path) {
  const auto real = RealPath(path);
  if (real == nullptr && errno == ENOENT) {
    return absl::NotFoundError(absl::StrCat("store ", Quote(path), " does not exist"));
  }
  OwnedFd fd(real == nullptr ? -1 : open(real.get(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("store ", Quote(path), " is not a readable directory: ", ErrnoText(errno)));
  }
  std::string root = real.get();
  if (root == "/") root.clear();
  return std::shared_ptr<const StoreRoot>(new StoreRoot(std::move(fd), std::move(root)));
}

absl::StatusOr<std::string> StoreRoot::Resolve(const std::string& path) const {
  const auto real = RealPath(absl::StrCat(path_, "/", path));
  if (real == nullptr) {
    if (errno == ELOOP) {
      return MakeError(ErrorReason::kFileInvalid, "is a loop of symlinks");
    }
    return OpenError(errno);
  }
  absl::string_view rest = real.get();
  if (rest == path_) return std::string();
  if (!absl::StartsWith(rest, path_) || rest[path_.size()] != '/') {
    return MakeError(ErrorReason::kFileInvalid, "leads out of the store");
  }
  return std::string(rest.substr(path_.size() + 1));
}

absl::StatusOr<OwnedFd> StoreRoot::OpenBeneath(const std::string& real_path, int flags) const {
  const std::string path = real_path.empty() ? "." : real_path;
  flags |= O_CLOEXEC;
  int fd = OpenAt2(fd_.get(), path, flags);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) fd = OpenByWalking(fd_.get(), path, flags);
  if (fd < 0) return OpenError(errno);
  return OwnedFd(fd);
}

absl::StatusOr<OwnedFd> StoreRoot::OpenFile(const std::string& real_path) const {
  TENSORD_ASSIGN_OR_RETURN(OwnedFd fd, OpenBeneath(real_path, O_RDONLY | O_NOCTTY | O_NONBLOCK));
  TENSORD_RETURN_IF_ERROR(IdentifyFile(fd.get()).status());
  return fd;
}

absl::StatusOr<OwnedFd> StoreRoot::OpenDirectory(const std::string& real_path) const {
  return OpenBeneath(real_path, O_RDONLY | O_DIRECTORY);
}

absl::StatusOr<FileIdentity> StoreRoot::Identify(const std::string& real_path) const {
  TENSORD_ASSIGN_OR_RETURN(const OwnedFd fd, OpenBeneath(real_path, O_PATH));
  return IdentifyFile(fd.get());
}

std::optional<struct stat> StoreRoot::Stat(const std::string& real_path) const {
  struct stat status = {};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
  if (fstatat(fd_.get(), real_path.c_str(), &status, flags) != 0) return std::nullopt;
  return status;
}

bool StoreRoot::IsDirectory(const std::string& path) const {
  struct stat status = {};
  return fstatat(fd_.get(), path.c_str(), &status, 0) == 0 && S_ISDIR(status.st_mode);
}

std::optional<std::string> StoreRoot::ReadLink(const std::string& real_path) const {
  std::array<char, PATH_MAX> target = {};
  const ssize_t size = readlinkat(fd_.get(), real_path.c_str(), target.data(), target.size());
  if (size < 0) return std::nullopt;
  return std::string(target.data(), static_cast<size_t>(size));
}

std::string StoreRoot::HostPath(const std::string& real_path) const {
  return real_path.empty() && !path_.empty() ? path_ : absl::StrCat(path_, "/", real_path);
}

bool StoreRoot::IsSameAs(const StoreRoot& other) const {
  const std::optional<struct stat> mine = Stat("");
  const std::optional<struct stat> theirs = other.Stat("");
  return mine && theirs && mine->st_dev == theirs->st_dev && mine->st_ino == theirs->st_ino &&
         path_ == other.path_;
}

absl::StatusOr<int64_t> StoreRoot::DirectoryMtimeNs(const std::string& real_path) const {
  TENSORD_ASSIGN_OR_RETURN(const OwnedFd fd, OpenBeneath(real_path, O_PATH | O_DIRECTORY));
  struct stat stat = {};
  if (fstat(fd.get(), &stat) != 0) return OpenError(errno);
  return int64_t{stat.st_mtim.tv_sec} * 1'000'000'000 + stat.st_mtim.tv_nsec;
}

}  // namespace tensord
