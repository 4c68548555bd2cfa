#include "client/piece_cursor.h"

#include <algorithm>

namespace tensord {
namespace {

constexpr int kMaxVarintBytes = 10;  // 64 bits at 7 a byte.
constexpr int kMaxGroupDepth = 100;  // As protobuf's own parsers.

}  // namespace

PieceCursor::PieceCursor(absl::Span<const absl::string_view> pieces) : pieces_(pieces) {
  for (const absl::string_view piece : pieces) remaining_ += piece.size();
}

void PieceCursor::Fail() {
  ok_ = false;
  remaining_ = 0;
}

absl::string_view PieceCursor::ReadPiece(uint64_t max_bytes) {
  const uint64_t wanted = std::min(max_bytes, remaining_);
  if (wanted == 0) return {};
  while (offset_ == pieces_[piece_].size()) {
    ++piece_;
    offset_ = 0;
  }
  const absl::string_view piece = pieces_[piece_].substr(offset_, wanted);
  offset_ += piece.size();
  remaining_ -= piece.size();
  return piece;
}

uint8_t PieceCursor::ReadByte() {
  const absl::string_view piece = ReadPiece(1);
  if (piece.empty()) {
    Fail();
    return 0;
  }
  return static_cast<uint8_t>(piece[0]);
}

uint64_t PieceCursor::ReadVarint() {
  uint64_t value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    const uint8_t byte = ReadByte();
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) return ok_ ? value : 0;
  }
  Fail();
  return 0;
}

uint32_t PieceCursor::ReadFixed32() {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= static_cast<uint32_t>(ReadByte()) << (8 * i);
  return ok_ ? value : 0;
}

std::string PieceCursor::ReadString(uint64_t size_bytes) {
  std::string text;
  PieceCursor bytes = Take(size_bytes);
  text.reserve(bytes.remaining());
  while (bytes.remaining() > 0) {
    const absl::string_view piece = bytes.ReadPiece(bytes.remaining());
    text.append(piece.data(), piece.size());
  }
  return text;
}

PieceCursor PieceCursor::Take(uint64_t size_bytes) {
  if (size_bytes > remaining_) {
    Fail();
    return {};
  }
  PieceCursor taken = *this;
  taken.remaining_ = size_bytes;
  while (size_bytes > 0) size_bytes -= ReadPiece(size_bytes).size();
  return taken;
}

void PieceCursor::SkipField(uint32_t number, uint32_t wire_type, int depth) {
  switch (wire_type) {
    case kVarint:
      ReadVarint();
      return;
    case kFixed64:
      Take(8);
      return;
    case kLengthDelimited:
      Take(ReadVarint());
      return;
    case kFixed32:
      Take(4);
      return;
    case kGroupStart:
      if (depth == kMaxGroupDepth) return Fail();
      while (ok_) {
        const FieldTag tag = ReadTag(*this);
        if (tag.wire_type == kGroupEnd && tag.number == number) return;
        SkipField(tag.number, tag.wire_type, depth + 1);
      }
      return;
    default:
      return Fail();
  }
}

FieldTag ReadTag(PieceCursor& cursor) {
  // Of a longer number protobuf, too, takes the low 32 bits.
  const auto tag = static_cast<uint32_t>(cursor.ReadVarint());
  const FieldTag result{tag >> 3, tag & 7};
  // No field has number 0, and SkipField fails on wire type 7.
  if (result.number == 0) return {0, 7};
  return result;
}

}  // namespace tensord
