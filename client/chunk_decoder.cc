#include "client/chunk_decoder.h"

#include "absl/status/status.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {
namespace {

// Each of the following adds a message's fields to `result`, so that a message sent in two pieces
// merges as protobuf wants it, and leaves the judgement to `cursor.ok()`.

void DecodeInfo(PieceCursor& cursor, ChunkStreamInfo& result) {
  using Info = v1::StreamInfo;
  while (cursor.remaining() > 0) {
    const FieldTag tag = ReadTag(cursor);
    switch (KeyOf(tag)) {
      case KeyOf(Info::kModelFieldNumber, kLengthDelimited):
        ReadText(cursor, result.model);
        break;
      case KeyOf(Info::kVersionFieldNumber, kLengthDelimited):
        ReadText(cursor, result.version);
        break;
      case KeyOf(Info::kNumResultsFieldNumber, kVarint):
        result.num_results = static_cast<uint32_t>(cursor.ReadVarint());
        break;
      case KeyOf(Info::kSizeBytesFieldNumber, kVarint):
        result.size_bytes = cursor.ReadVarint();
        break;
      default:
        cursor.SkipField(tag.number, tag.wire_type);
    }
  }
}

// Packed, as protobuf 3 writes repeated numbers.
bool DecodeExtents(PieceCursor extents, Shape& shape) {
  while (extents.remaining() > 0) shape.push_back(extents.ReadVarint());
  return extents.ok();
}

bool DecodeHeader(PieceCursor cursor, ChunkHeader& result) {
  using Header = v1::TensorHeader;
  bool ok = true;
  while (cursor.remaining() > 0) {
    const FieldTag tag = ReadTag(cursor);
    switch (KeyOf(tag)) {
      case KeyOf(Header::kDtypeFieldNumber, kLengthDelimited):
        ReadText(cursor, result.dtype);
        break;
      case KeyOf(Header::kShapeFieldNumber, kLengthDelimited):
        ok &= DecodeExtents(ReadNested(cursor), result.shape);
        break;
      case KeyOf(Header::kShapeFieldNumber, kVarint):
        result.shape.push_back(cursor.ReadVarint());
        break;
      case KeyOf(Header::kSizeBytesFieldNumber, kVarint):
        result.size_bytes = cursor.ReadVarint();
        break;
      case KeyOf(Header::kTensorFieldNumber, kLengthDelimited):
        ReadText(cursor, result.tensor);
        break;
      case KeyOf(Header::kSelectionFieldNumber, kVarint):
        result.selection = static_cast<uint32_t>(cursor.ReadVarint());
        break;
      default:
        cursor.SkipField(tag.number, tag.wire_type);
    }
  }
  return ok && cursor.ok();
}

bool DecodeError(PieceCursor cursor, ChunkError& result) {
  using Error = v1::ResultError;
  while (cursor.remaining() > 0) {
    const FieldTag tag = ReadTag(cursor);
    switch (KeyOf(tag)) {
      case KeyOf(Error::kCodeFieldNumber, kVarint):
        result.code = static_cast<int32_t>(cursor.ReadVarint());
        break;
      case KeyOf(Error::kReasonFieldNumber, kVarint):
        result.reason = static_cast<int32_t>(cursor.ReadVarint());
        break;
      case KeyOf(Error::kMessageFieldNumber, kLengthDelimited):
        ReadText(cursor, result.message);
        break;
      default:
        cursor.SkipField(tag.number, tag.wire_type);
    }
  }
  return cursor.ok();
}

void Clear(ChunkHeader& header) {
  header.dtype.clear();
  header.shape.clear();
  header.size_bytes = 0;
  header.tensor.clear();
  header.selection = 0;
}

// A header is put into `header`, which the result then points to.
bool DecodePart(PieceCursor cursor, ChunkPart& result, ChunkHeader& header) {
  using Part = v1::TensorPart;
  bool ok = true;
  while (cursor.remaining() > 0) {
    const FieldTag tag = ReadTag(cursor);
    switch (KeyOf(tag)) {
      case KeyOf(Part::kResultFieldNumber, kVarint):
        result.result = static_cast<uint32_t>(cursor.ReadVarint());
        break;
      case KeyOf(Part::kHeaderFieldNumber, kLengthDelimited):
        if (result.header == nullptr) Clear(header);
        result.header = &header;
        ok &= DecodeHeader(ReadNested(cursor), header);
        break;
      case KeyOf(Part::kOffsetBytesFieldNumber, kVarint):
        result.offset_bytes = cursor.ReadVarint();
        break;
      case KeyOf(Part::kCrc32CFieldNumber, kFixed32):
        result.crc32c = cursor.ReadFixed32();
        break;
      case KeyOf(Part::kErrorFieldNumber, kLengthDelimited):
        if (!result.error) result.error.emplace();
        ok &= DecodeError(ReadNested(cursor), *result.error);
        break;
      case KeyOf(Part::kDataFieldNumber, kLengthDelimited):
        result.data = ReadNested(cursor);
        break;
      default:
        cursor.SkipField(tag.number, tag.wire_type);
    }
  }
  return ok && cursor.ok();
}

}  // namespace

absl::StatusOr<ChunkDecoder::Field> ChunkDecoder::Next() {
  using Chunk = v1::TensorChunk;
  while (message_.remaining() > 0) {
    const FieldTag tag = ReadTag(message_);
    switch (KeyOf(tag)) {
      case KeyOf(Chunk::kInfoFieldNumber, kLengthDelimited): {
        PieceCursor info = ReadNested(message_);
        DecodeInfo(info, info_);
        if (message_.ok() && info.ok()) return Field::kInfo;
        return absl::DataLossError("a message of the stream has a malformed StreamInfo");
      }
      case KeyOf(Chunk::kPartsFieldNumber, kLengthDelimited): {
        part_ = {};
        const bool ok = DecodePart(ReadNested(message_), part_, header_);
        if (message_.ok() && ok) return Field::kPart;
        return absl::DataLossError("a message of the stream has a malformed TensorPart");
      }
      default:
        message_.SkipField(tag.number, tag.wire_type);
    }
  }
  if (message_.ok()) return Field::kEnd;
  return absl::DataLossError("a message of the stream is no TensorChunk");
}

}  // namespace tensord
