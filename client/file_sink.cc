#include "tensord/file_sink.h"

#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace tensord {

FileSink WriteToFile(int fd) {
  return [fd](const FileStreamInfo&, uint64_t offset,
              absl::Span<const std::byte> bytes) -> absl::Status {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        return absl::ErrnoToStatus(
            errno, absl::StrCat("writing ", bytes.size(), " bytes at ", offset, " of a file"));
      }
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return absl::OkStatus();
  };
}

}  // namespace tensord
