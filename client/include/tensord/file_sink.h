// Takes the bytes of a file as they arrive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace tensord {

// What a file stream holds, known before its first byte.
struct FileStreamInfo {
  std::string model;        // Canonical id.
  std::string version;      // Of the model; side files are not part of it.
  std::string file;         // Relative to the model.
  uint64_t size_bytes = 0;  // Of the whole file, whatever the range.
  std::string sha256;       // 64 hex digits where a hub cache tells, else empty.
  std::string tag;          // Opaque; equal tags mean an unchanged file, side files included.
};

// Called from the thread that reads, with ascending offsets and no gap; `bytes` may be up to a
// message long and live for the call only. An error ends the stream and becomes the result. Bytes
// count only when the read as a whole has returned OK. Never called for an empty range.
using FileSink = std::function<absl::Status(const FileStreamInfo& stream, uint64_t offset,
                                            absl::Span<const std::byte> bytes)>;

// Writes each byte to where it stands in the file, by pwrite. Borrows `fd`, which must be open for
// writing as long as the sink is used. Errors of the system keep their cause, e.g. "No space left".
FileSink WriteToFile(int fd);

}  // namespace tensord
