// Reads protobuf's wire format where it lies, in the pieces that the network delivered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tensord {

// A position in a row of pieces, with an end. A value; borrows the pieces, which must outlive it
// and its copies. A read that passes the end, or meets malformed bytes, makes the cursor fail: it
// is then at its end, yields zeros, and ok() stays false.
class PieceCursor {
 public:
  PieceCursor() = default;
  explicit PieceCursor(absl::Span<const absl::string_view> pieces);

  bool ok() const { return ok_; }
  uint64_t remaining() const { return remaining_; }  // In bytes.

  // Most numbers are one byte within a piece.
  uint64_t ReadVarint() {
    if (together_ == 0 || static_cast<uint8_t>(*next_) >= 0x80) return ReadLongVarint();
    const auto value = static_cast<uint8_t>(*next_);
    Advance(1);
    return value;
  }
  uint32_t ReadFixed32();
  // Replaces `text`, whose memory is used again, by the next `size_bytes`.
  void ReadString(uint64_t size_bytes, std::string& text);

  // What lies in one piece of the next bytes, and moves past it; at most `max_bytes`. Empty at the
  // end.
  absl::string_view ReadPiece(uint64_t max_bytes);

  // The next `size_bytes` as a cursor of their own, and moves past them.
  PieceCursor Take(uint64_t size_bytes);

  // Moves past the value of a field of this wire type and number, groups included.
  void SkipField(uint32_t number, uint32_t wire_type) { SkipField(number, wire_type, 0); }

 private:
  // `count` <= together_.
  void Advance(size_t count) {
    next_ += count;
    together_ -= count;
    remaining_ -= count;
  }
  // Goes on to the next piece that is not empty; something remains, but not in this one.
  void NextPiece();
  uint64_t ReadLongVarint();
  uint8_t ReadByte();
  void Fail();
  void SkipField(uint32_t number, uint32_t wire_type, int depth);

  const char* next_ = nullptr;
  uint64_t together_ = 0;   // Bytes from next_ on in the piece, none beyond the end.
  uint64_t remaining_ = 0;  // At least together_.
  const absl::string_view* following_ = nullptr;  // The piece behind next_'s, if more remain.
  bool ok_ = true;
};

// What stands before each value: a field's number and how its value is encoded.
struct FieldTag {
  uint32_t number = 0;
  uint32_t wire_type = 0;
};

inline constexpr uint32_t kVarint = 0;
inline constexpr uint32_t kFixed64 = 1;
inline constexpr uint32_t kLengthDelimited = 2;
inline constexpr uint32_t kGroupStart = 3;
inline constexpr uint32_t kGroupEnd = 4;
inline constexpr uint32_t kFixed32 = 5;

// Number 0 when the cursor failed. Call only while something remains.
inline FieldTag ReadTag(PieceCursor& cursor) {
  // Of a longer number protobuf, too, takes the low 32 bits.
  const auto tag = static_cast<uint32_t>(cursor.ReadVarint());
  // No field has number 0, and SkipField fails on wire type 7.
  if (tag >> 3 == 0) return {0, 7};
  return {tag >> 3, tag & 7};
}

// Number and wire type as one, to switch by: a field of another wire type than the schema's counts
// as unknown, as in protobuf.
constexpr uint64_t KeyOf(int number, uint32_t wire_type) {
  return static_cast<uint64_t>(number) << 3 | wire_type;
}
constexpr uint64_t KeyOf(FieldTag tag) {
  return KeyOf(static_cast<int>(tag.number), tag.wire_type);
}

// The value of a length-delimited field.
inline void ReadText(PieceCursor& cursor, std::string& text) {
  cursor.ReadString(cursor.ReadVarint(), text);
}
inline PieceCursor ReadNested(PieceCursor& cursor) { return cursor.Take(cursor.ReadVarint()); }

}  // namespace tensord
