// Takes a FileChunk apart without copying its data.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "client/piece_cursor.h"
#include "tensord/file_sink.h"

namespace tensord {

// As tensord.v1.FileChunk.
struct FileChunkFields {
  std::optional<FileStreamInfo> info;
  uint64_t offset_bytes = 0;
  std::optional<uint32_t> crc32c;
  PieceCursor data;  // Borrows the message's pieces.
};

// DATA_LOSS when the bytes are no FileChunk. Unknown fields are skipped.
absl::StatusOr<FileChunkFields> DecodeFileChunk(PieceCursor message);

}  // namespace tensord
