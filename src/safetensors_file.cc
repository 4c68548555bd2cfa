#include "src/safetensors_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using LengthBytes = std::array<char, kHeaderLengthBytes>;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;

  int get() const { return fd_; }

 private:
  const int fd_;
};

// Fills `buffer` from byte `offset` on; the file was that long a moment ago.
absl::Status ReadExactly(int fd, uint64_t offset, absl::Span<char> buffer) {
  while (!buffer.empty()) {
    const ssize_t count = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return SystemError(absl::StrCat("cannot read the header at byte ", offset), errno);
    }
    if (count == 0) {
      return MakeError(ErrorReason::kFileChanged,
                       absl::StrCat("the file changed while in use: it ended at byte ", offset,
                                    ", within its header"));
    }
    buffer.remove_prefix(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

uint64_t LittleEndian(const LengthBytes& bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

absl::StatusOr<std::string> Sha256Hex(absl::Span<const absl::string_view> parts) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned int size = 0;
  bool ok = context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  for (const absl::string_view part : parts) {
    ok = ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  }
  ok = ok && EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1;
  if (!ok) return absl::InternalError("OpenSSL cannot compute a SHA-256");
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

}  // namespace

absl::StatusOr<SafetensorsFile> ReadSafetensorsFile(int fd) {
  SafetensorsFile file;
  TENSORD_ASSIGN_OR_RETURN(file.identity, IdentifyFile(fd));
  const uint64_t file_size = file.identity.size_bytes;
  TENSORD_RETURN_IF_ERROR(CheckHeaderLength(0, file_size));
  LengthBytes length = {};
  TENSORD_RETURN_IF_ERROR(ReadExactly(fd, 0, absl::MakeSpan(length)));
  const uint64_t json_size = LittleEndian(length);
  TENSORD_RETURN_IF_ERROR(CheckHeaderLength(json_size, file_size));

  const auto buffer = std::make_unique_for_overwrite<char[]>(json_size);
  TENSORD_RETURN_IF_ERROR(
      ReadExactly(fd, kHeaderLengthBytes, absl::MakeSpan(buffer.get(), json_size)));
  // Before the verdict: a file that is being written is not an invalid one.
  TENSORD_ASSIGN_OR_RETURN(const FileIdentity now, IdentifyFile(fd));
  TENSORD_RETURN_IF_ERROR(CheckSameContent(file.identity, now));

  const absl::string_view json(buffer.get(), json_size);
  TENSORD_ASSIGN_OR_RETURN(SafetensorsHeader header, SafetensorsHeader::Parse(json, file_size));
  file.header = std::make_shared<const SafetensorsHeader>(std::move(header));
  TENSORD_ASSIGN_OR_RETURN(file.header_digest,
                           Sha256Hex({absl::string_view(length.data(), length.size()), json}));
  return file;
}

absl::StatusOr<SafetensorsFile> OpenSafetensorsFile(const std::string& path) {
  // Asked before opening, because opening a device may do something, and a socket cannot be opened.
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) {
    const int error = errno;
    if (error != ENOENT && error != ENOTDIR) return SystemError("cannot stat the file", error);
    return MakeError(ErrorReason::kFileNotFound, "no such file");
  }
  TENSORD_RETURN_IF_ERROR(IdentityOf(status).status());
  // Asked again of the open file by ReadSafetensorsFile: the path may lead elsewhere by now.
  const FileDescriptor fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (fd.get() < 0) return SystemError("cannot open the file", errno);
  return ReadSafetensorsFile(fd.get());
}

}  // namespace tensord
