// Reads protobuf's wire format field by field, without a schema and without protobuf.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord {

// One field of a message, as it is encoded.
struct WireField {
  enum class Type : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  uint32_t number = 0;  // 1 to 2^29 - 1.
  Type type = Type::kVarint;
  uint64_t value = 0;       // Of a varint or fixed field.
  absl::string_view bytes;  // Of a length-delimited field: a string, a message, a packed list.
};

// A view of one encoded message, read from front to back; whoever does not know a field asks for
// the next one. Does not recurse: a sub-message is read by another reader of its `bytes`.
class WireReader {
 public:
  // `message` must outlive the reader and all fields it returns.
  explicit WireReader(absl::string_view message) : rest_(message), size_(message.size()) {}

  // The next field; nullopt at the end. DATA_LOSS naming the position for what a strict encoder
  // does not write: a field that leaves the message, a varint of more than 64 bits, a field number
  // out of range, a group. After an error the reader is spent.
  absl::StatusOr<std::optional<WireField>> Next();

 private:
  absl::StatusOr<uint64_t> ReadVarint();
  absl::StatusOr<uint64_t> ReadFixed(size_t size_bytes);
  absl::StatusOr<absl::string_view> ReadBytes();
  absl::Status Error(absl::string_view what);

  absl::string_view rest_;
  size_t size_ = 0;  // Of the whole message, for positions in errors.
};

}  // namespace tensord
