// Takes a TensorChunk apart without copying its data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/piece_cursor.h"
#include "tensord/shape.h"

namespace tensord {

// As tensord.v1.StreamInfo.
struct ChunkStreamInfo {
  std::string model;
  std::string version;
  uint32_t num_results = 0;
  uint64_t size_bytes = 0;
};

// As tensord.v1.TensorHeader.
struct ChunkHeader {
  std::string dtype;
  Shape shape;
  uint64_t size_bytes = 0;
  std::string tensor;
  uint32_t selection = 0;

  bool operator==(const ChunkHeader&) const = default;
};

// As tensord.v1.ResultError.
struct ChunkError {
  int32_t code = 0;
  int32_t reason = 0;
  std::string message;
};

// As tensord.v1.TensorPart.
struct ChunkPart {
  uint32_t result = 0;
  const ChunkHeader* header = nullptr;  // The decoder's, until it goes on. Null: absent.
  uint64_t offset_bytes = 0;
  std::optional<uint32_t> crc32c;
  std::optional<ChunkError> error;
  PieceCursor data;
};

// Walks the fields of one message. Fields it does not know are skipped, whatever their wire type,
// as newer servers may send them.
class ChunkDecoder {
 public:
  enum class Field { kInfo, kPart, kEnd };

  // `message` borrows the pieces, which must outlive the decoder and the parts it yields.
  explicit ChunkDecoder(PieceCursor message) : message_(message) {}
  ChunkDecoder(const ChunkDecoder&) = delete;
  ChunkDecoder& operator=(const ChunkDecoder&) = delete;

  // What comes next: then info() or part() holds it until the next call. DATA_LOSS when the bytes
  // are no TensorChunk.
  absl::StatusOr<Field> Next();

  const ChunkStreamInfo& info() const { return info_; }
  const ChunkPart& part() const { return part_; }

 private:
  PieceCursor message_;
  ChunkStreamInfo info_;
  ChunkPart part_;
  ChunkHeader
      header_;  // One for all parts: a stream has 100,000 of them, and memory is used again.
};

}  // namespace tensord
