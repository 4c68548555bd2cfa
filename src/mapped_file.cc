#include "src/mapped_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "src/status_macros.h"

namespace tensord {
namespace {

void* MapShared(int fd, size_t size_bytes) {
  void* data = mmap(nullptr, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
  // Some file systems (9p, some FUSE) map privately only.
  if (data == MAP_FAILED && errno == ENODEV) {
    data = mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  }
  return data;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Map(int fd) {
  // Owns fd from here on.
  std::shared_ptr<MappedFile> file(new MappedFile(fd));
  TENSORD_ASSIGN_OR_RETURN(file->identity_, IdentifyFile(fd));
  if (file->identity_.size_bytes == 0) return file;  // mmap refuses a length of 0.
  void* data = MapShared(fd, file->identity_.size_bytes);
  if (data == MAP_FAILED) return SystemError("cannot map the file", errno);
  file->data_ = static_cast<const std::byte*>(data);
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), identity_.size_bytes);
  close(fd_);
}

absl::Status MappedFile::CheckUnchanged() const {
  TENSORD_ASSIGN_OR_RETURN(const FileIdentity now, IdentifyFile(fd_));
  return CheckSameContent(identity_, now);
}

}  // namespace tensord
