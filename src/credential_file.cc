#include "src/credential_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "src/escape.h"
#include "src/owned_fd.h"

namespace tensord {
namespace {

absl::Status Bad(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("file ", Quote(path), " ", why));
}

}  // namespace

absl::StatusOr<CredentialFile> ReadCredentialFile(const std::string& path) {
  const OwnedFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  if (fd.get() < 0 || fstat(fd.get(), &status) != 0) {
    return Bad(path, absl::StrCat("cannot be read: ", std::strerror(errno)));
  }
  if (!S_ISREG(status.st_mode)) return Bad(path, "is no regular file");
  CredentialFile file;
  const bool is_ours = status.st_uid == geteuid();
  file.others_can_read = (status.st_mode & (is_ours ? S_IRGRP | S_IROTH : S_IROTH)) != 0;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd.get(), buffer, sizeof(buffer));
    if (got < 0) return Bad(path, absl::StrCat("cannot be read: ", std::strerror(errno)));
    if (got == 0) return file;
    file.bytes.append(buffer, static_cast<size_t>(got));
    if (file.bytes.size() > kMaxCredentialFileBytes) {
      return Bad(path, absl::StrCat("is larger than ", kMaxCredentialFileBytes, " bytes"));
    }
  }
}

}  // namespace tensord
