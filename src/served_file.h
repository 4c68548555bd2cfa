// A file whose bytes are served, proof against what may happen to it meanwhile.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/fault_guard.h"
#include "src/file_closer.h"
#include "src/file_identity.h"
#include "src/file_system.h"
#include "src/owned_fd.h"
#include "src/read_mode.h"

namespace tensord {

// A whole regular file, open for as long as the object lives: mapped read-only, or else to be read
// with pread. Thread-safe.
//
// Bytes obtained either way are the file's only if CheckUnchanged says so afterwards. Truncation
// and I/O errors then cost an error, never the process: a lost page of a mapping turns into zeros,
// and the mapping is poisoned. Only the system itself cannot be caught so: a call that is handed
// lost memory fails with EFAULT, unless CheckUnchanged came before; see RepairGuarded.
// A change that leaves size and mtime as they were goes unseen.
class ServedFile {
 public:
  // Makes no use of the file's bytes yet. May wait for the file system.
  // Errors: FILE_INVALID for anything but a regular file; READ_ERROR otherwise.
  static absl::StatusOr<std::shared_ptr<const ServedFile>> Open(
      OwnedFd fd, ReadMode mode, std::shared_ptr<const FileCloser> closer = nullptr);

  // A remote file is closed by `closer`, any other, or without one, here.
  ~ServedFile();
  ServedFile(const ServedFile&) = delete;
  ServedFile& operator=(const ServedFile&) = delete;

  const FileIdentity& identity() const { return identity_; }
  uint64_t size_bytes() const { return identity_.size_bytes; }

  // Else bytes() is empty and Read is the only way. An empty file is never mapped.
  bool is_mapped() const { return data_ != nullptr; }
  absl::Span<const std::byte> bytes() const {
    return {data_, data_ == nullptr ? 0 : identity_.size_bytes};
  }

  // Every function but the accessors may wait for another machine.
  bool is_remote() const { return file_system_ == FileSystemKind::kRemote; }

  // Whether the bytes can be touched, or read, without waiting for a disk; for some systems an
  // estimate, and never a promise. Does not wait. offset + size <= size_bytes().
  bool IsInMemory(uint64_t offset_bytes, uint64_t size_bytes) const;

  // Makes pages of bytes() present by touching each; may wait. A page that is lost is zeros then.
  void Touch(absl::Span<const std::byte> bytes) const;

  // Copies bytes from `offset_bytes` on; may wait. FILE_CHANGED when the file ends before, else
  // READ_ERROR.
  absl::Status Read(uint64_t offset_bytes, absl::Span<std::byte> destination) const;

  // The same without waiting: false if the bytes are not all in memory, or for any error.
  bool TryRead(uint64_t offset_bytes, absl::Span<std::byte> destination) const;

  // Has bytes that will be wanted soon brought into memory; may wait for them, and bring a few MiB
  // around them along. Tells no error: who touches or reads them later meets it.
  void Fetch(uint64_t offset_bytes, uint64_t size_bytes) const;

  // FILE_CHANGED when the open file's size or mtime differ from what they were at Open, READ_ERROR
  // when a mapped page could not be fetched. If the file is shorter now, the lost tail of the
  // mapping is zeros when this returns. One fstat.
  absl::Status CheckUnchanged() const;

  // Whether anything above ever failed: then for good, and the file is to be opened anew.
  bool is_broken() const { return broken_; }

 private:
  ServedFile(OwnedFd fd, const FileIdentity& identity);

  absl::Status Map();
  bool IsResident(uint64_t offset_bytes, uint64_t size_bytes) const;
  bool FetchByHugePages(uint64_t offset_bytes, uint64_t size_bytes) const;
  absl::Status Broken(absl::Status status) const;

  // Set by Open, before anybody shares the object.
  OwnedFd fd_;
  const FileIdentity identity_;
  FileSystemKind file_system_ = FileSystemKind::kRemote;
  bool may_ask_mincore_ = false;
  const std::byte* data_ = nullptr;
  std::optional<GuardedRange> guard_;  // Of data_.
  std::shared_ptr<const FileCloser> closer_;

  mutable std::atomic<bool> broken_ = false;
};

}  // namespace tensord
