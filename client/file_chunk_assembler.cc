#include "client/file_chunk_assembler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/checksum.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

template <typename... Args>
absl::Status Lost(const Args&... what) {
  return absl::DataLossError(absl::StrCat("the server contradicts itself: ", what...));
}

// The version does not cover side files. A tag may differ between replicas though the bytes do not:
// then the digest tells.
bool IsSameFile(const FileStreamInfo& a, const FileStreamInfo& b) {
  return a.size_bytes == b.size_bytes &&
         (a.tag == b.tag || (!a.sha256.empty() && a.sha256 == b.sha256));
}

}  // namespace

FileChunkAssembler::FileChunkAssembler(FileExpectation expectation, const FileSink& sink)
    : expectation_(std::move(expectation)), sink_(sink), next_offset_(expectation_.range.offset) {}

absl::Status FileChunkAssembler::Add(PieceCursor message) {
  TENSORD_ASSIGN_OR_RETURN(FileChunkFields fields, DecodeFileChunk(message));
  if (fields.info.has_value() == info_.has_value()) {
    return info_ ? Lost("a second FileStreamInfo")
                 : Lost("the first message has no FileStreamInfo");
  }
  if (fields.info) TENSORD_RETURN_IF_ERROR(AddInfo(*fields.info));
  // A message of nothing but the info has no place.
  if (fields.data.remaining() == 0) return absl::OkStatus();
  TENSORD_RETURN_IF_ERROR(CheckPlace(fields));
  const uint32_t crc = fields.crc32c ? ExtendCrc32c(0, fields.data) : 0;
  TENSORD_RETURN_IF_ERROR(
      CheckCrc32c(fields.data.remaining(), crc, fields.crc32c, expectation_.checksum));
  while (fields.data.remaining() > 0) {
    const absl::string_view piece = fields.data.ReadPiece(fields.data.remaining());
    TENSORD_RETURN_IF_ERROR(sink_(*info_, next_offset_, BytesOf(piece)));
    next_offset_ += piece.size();
  }
  return absl::OkStatus();
}

absl::Status FileChunkAssembler::AddInfo(const FileStreamInfo& info) {
  const ByteRange& range = expectation_.range;
  if (info.file != expectation_.file) {
    return Lost("it sends file ", Quote(info.file), ", asked for was ", Quote(expectation_.file));
  }
  if (!expectation_.version.empty() && info.version != expectation_.version) {
    return Lost("it sends version ", Quote(info.version), ", asked for was ",
                Quote(expectation_.version));
  }
  const bool fits =
      range.offset <= info.size_bytes && range.length.value_or(0) <= info.size_bytes - range.offset;
  if (!fits) {
    return Lost("a file of ", info.size_bytes, " bytes is sent for a range that leaves it");
  }
  if (expectation_.same_as && !IsSameFile(info, *expectation_.same_as)) {
    return MakeError(
        ErrorReason::kVersionChanged,
        absl::StrCat("file ", Quote(info.file), " was replaced while it was read: it has tag ",
                     Quote(info.tag), " now, wanted ", Quote(expectation_.same_as->tag)));
  }
  info_ = info;
  next_offset_ = range.offset;
  end_ = range.length ? range.offset + *range.length : info.size_bytes;
  return absl::OkStatus();
}

absl::Status FileChunkAssembler::CheckPlace(const FileChunkFields& fields) const {
  if (fields.offset_bytes != next_offset_) {
    return Lost("the file goes on at byte ", fields.offset_bytes, ", wanted is byte ",
                next_offset_);
  }
  if (fields.data.remaining() > end_ - next_offset_) {
    return Lost("the file overruns its end at byte ", end_, " by ",
                fields.data.remaining() - (end_ - next_offset_));
  }
  return absl::OkStatus();
}

absl::StatusOr<FileStreamInfo> FileChunkAssembler::Finish() const {
  if (!info_) return Lost("a stream without messages ended with OK");
  if (next_offset_ != end_) {
    return Lost("the stream ended with OK at byte ", next_offset_, ", wanted is byte ", end_);
  }
  return *info_;
}

}  // namespace tensord
