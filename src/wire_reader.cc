#include "src/wire_reader.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

constexpr uint64_t kMaxTag = 0xffffffff;  // 29 bits of number, 3 bits of type.

}  // namespace

absl::Status WireReader::Error(absl::string_view what) {
  const size_t position = size_ - rest_.size();
  rest_ = {};
  return absl::DataLossError(
      absl::StrCat("malformed message: ", what, " at byte ", position, " of ", size_));
}

absl::StatusOr<uint64_t> WireReader::ReadVarint() {
  uint64_t value = 0;
  for (size_t i = 0; i < rest_.size() && i < 10; ++i) {
    const auto byte = static_cast<unsigned char>(rest_[i]);
    if (i == 9 && byte > 1) break;  // The tenth byte has room for bit 63 only.
    value |= uint64_t{byte & 0x7fu} << (7 * i);
    if (byte < 0x80) {
      rest_.remove_prefix(i + 1);
      return value;
    }
  }
  return Error("a number that does not end");
}

absl::StatusOr<uint64_t> WireReader::ReadFixed(size_t size_bytes) {
  if (rest_.size() < size_bytes) return Error("a number that leaves the message");
  uint64_t value = 0;
  for (size_t i = size_bytes; i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(rest_[i - 1]);
  }
  rest_.remove_prefix(size_bytes);
  return value;
}

absl::StatusOr<absl::string_view> WireReader::ReadBytes() {
  TENSORD_ASSIGN_OR_RETURN(const uint64_t size, ReadVarint());
  if (size > rest_.size()) {
    return Error(absl::StrCat("a field of ", size, " bytes with ", rest_.size(), " left"));
  }
  const absl::string_view bytes = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return bytes;
}

absl::StatusOr<std::optional<WireField>> WireReader::Next() {
  if (rest_.empty()) return std::nullopt;
  TENSORD_ASSIGN_OR_RETURN(const uint64_t tag, ReadVarint());
  WireField field;
  field.number = static_cast<uint32_t>(tag >> 3);
  if (tag > kMaxTag || field.number == 0) return Error("a field number out of range");
  field.type = static_cast<WireField::Type>(tag & 7);
  switch (field.type) {
    case WireField::Type::kVarint: {
      TENSORD_ASSIGN_OR_RETURN(field.value, ReadVarint());
      return field;
    }
    case WireField::Type::kFixed64: {
      TENSORD_ASSIGN_OR_RETURN(field.value, ReadFixed(8));
      return field;
    }
    case WireField::Type::kBytes: {
      TENSORD_ASSIGN_OR_RETURN(field.bytes, ReadBytes());
      return field;
    }
    case WireField::Type::kFixed32: {
      TENSORD_ASSIGN_OR_RETURN(field.value, ReadFixed(4));
      return field;
    }
  }
  return Error(absl::StrCat("wire type ", tag & 7));
}

}  // namespace tensord
