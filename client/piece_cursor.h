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

  uint64_t ReadVarint();
  uint32_t ReadFixed32();
  std::string ReadString(uint64_t size_bytes);

  // What lies in one piece of the next bytes, and moves past it; at most `max_bytes`. Empty at the
  // end.
  absl::string_view ReadPiece(uint64_t max_bytes);

  // The next `size_bytes` as a cursor of their own, and moves past them.
  PieceCursor Take(uint64_t size_bytes);

  // Moves past the value of a field of this wire type and number, groups included.
  void SkipField(uint32_t number, uint32_t wire_type) { SkipField(number, wire_type, 0); }

 private:
  uint8_t ReadByte();
  void Fail();
  void SkipField(uint32_t number, uint32_t wire_type, int depth);

  absl::Span<const absl::string_view> pieces_;
  size_t piece_ = 0;   // Index into pieces_.
  size_t offset_ = 0;  // In that piece.
  uint64_t remaining_ = 0;
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
FieldTag ReadTag(PieceCursor& cursor);

// Number and wire type as one, to switch by: a field of another wire type than the schema's counts
// as unknown, as in protobuf.
constexpr uint64_t KeyOf(int number, uint32_t wire_type) {
  return static_cast<uint64_t>(number) << 3 | wire_type;
}
constexpr uint64_t KeyOf(FieldTag tag) {
  return KeyOf(static_cast<int>(tag.number), tag.wire_type);
}

// The value of a length-delimited field.
inline std::string ReadText(PieceCursor& cursor) { return cursor.ReadString(cursor.ReadVarint()); }
inline PieceCursor ReadNested(PieceCursor& cursor) { return cursor.Take(cursor.ReadVarint()); }

}  // namespace tensord
