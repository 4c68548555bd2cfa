#include "client/file_chunk_decoder.h"

#include "absl/status/status.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {
namespace {

bool DecodeInfo(PieceCursor cursor, FileStreamInfo& result) {
  using Info = v1::FileStreamInfo;
  while (cursor.remaining() > 0) {
    const FieldTag tag = ReadTag(cursor);
    switch (KeyOf(tag)) {
      case KeyOf(Info::kModelFieldNumber, kLengthDelimited):
        ReadText(cursor, result.model);
        break;
      case KeyOf(Info::kVersionFieldNumber, kLengthDelimited):
        ReadText(cursor, result.version);
        break;
      case KeyOf(Info::kFileFieldNumber, kLengthDelimited):
        ReadText(cursor, result.file);
        break;
      case KeyOf(Info::kSizeBytesFieldNumber, kVarint):
        result.size_bytes = cursor.ReadVarint();
        break;
      case KeyOf(Info::kSha256FieldNumber, kLengthDelimited):
        ReadText(cursor, result.sha256);
        break;
      case KeyOf(Info::kTagFieldNumber, kLengthDelimited):
        ReadText(cursor, result.tag);
        break;
      default:
        cursor.SkipField(tag.number, tag.wire_type);
    }
  }
  return cursor.ok();
}

}  // namespace

absl::StatusOr<FileChunkFields> DecodeFileChunk(PieceCursor message) {
  using Chunk = v1::FileChunk;
  FileChunkFields fields;
  bool ok = true;
  while (message.remaining() > 0) {
    const FieldTag tag = ReadTag(message);
    switch (KeyOf(tag)) {
      case KeyOf(Chunk::kInfoFieldNumber, kLengthDelimited):
        if (!fields.info) fields.info.emplace();
        ok &= DecodeInfo(ReadNested(message), *fields.info);
        break;
      case KeyOf(Chunk::kOffsetBytesFieldNumber, kVarint):
        fields.offset_bytes = message.ReadVarint();
        break;
      case KeyOf(Chunk::kCrc32CFieldNumber, kFixed32):
        fields.crc32c = message.ReadFixed32();
        break;
      case KeyOf(Chunk::kDataFieldNumber, kLengthDelimited):
        fields.data = ReadNested(message);
        break;
      default:
        message.SkipField(tag.number, tag.wire_type);
    }
  }
  if (ok && message.ok()) return fields;
  return absl::DataLossError("a message of the stream is no FileChunk");
}

}  // namespace tensord
