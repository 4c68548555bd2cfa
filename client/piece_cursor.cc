#include "client/piece_cursor.h"

#include <algorithm>

namespace tensord {
namespace {

constexpr size_t kMaxVarintBytes = 10;  // 64 bits at 7 a byte.
constexpr int kMaxGroupDepth = 100;     // As protobuf's own parsers.

}  // namespace

PieceCursor::PieceCursor(absl::Span<const absl::string_view> pieces) : following_(pieces.data()) {
  for (const absl::string_view piece : pieces) remaining_ += piece.size();
}

void PieceCursor::Fail() {
  ok_ = false;
  together_ = 0;
  remaining_ = 0;
}

void PieceCursor::NextPiece() {
  do {
    next_ = following_->data();
    together_ = std::min<uint64_t>(following_->size(), remaining_);
    ++following_;
  } while (together_ == 0);
}

absl::string_view PieceCursor::ReadPiece(uint64_t max_bytes) {
  if (max_bytes == 0 || remaining_ == 0) return {};
  if (together_ == 0) NextPiece();
  const absl::string_view piece(next_, std::min(together_, max_bytes));
  Advance(piece.size());
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

uint64_t PieceCursor::ReadLongVarint() {
  const bool is_together = together_ >= kMaxVarintBytes;
  uint64_t value = 0;
  for (size_t i = 0; i < kMaxVarintBytes; ++i) {
    const uint8_t byte = is_together ? static_cast<uint8_t>(next_[i]) : ReadByte();
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) {
      if (is_together) Advance(i + 1);
      return ok_ ? value : 0;
    }
  }
  Fail();
  return 0;
}

uint32_t PieceCursor::ReadFixed32() {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= static_cast<uint32_t>(ReadByte()) << (8 * i);
  return ok_ ? value : 0;
}

void PieceCursor::ReadString(uint64_t size_bytes, std::string& text) {
  if (size_bytes <= together_) {
    text.assign(next_, size_bytes);
    return Advance(size_bytes);
  }
  text.clear();
  PieceCursor bytes = Take(size_bytes);
  while (bytes.remaining() > 0) {
    const absl::string_view piece = bytes.ReadPiece(bytes.remaining());
    text.append(piece.data(), piece.size());
  }
}

PieceCursor PieceCursor::Take(uint64_t size_bytes) {
  if (size_bytes > remaining_) {
    Fail();
    return {};
  }
  PieceCursor taken = *this;
  taken.remaining_ = size_bytes;
  taken.together_ = std::min(together_, size_bytes);
  if (size_bytes <= together_) {
    Advance(size_bytes);
    return taken;
  }
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

}  // namespace tensord
