// How far ahead of its reader a stream runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace tensord {

// Lowers, in SETTINGS frames of clients that ask for it (src/window_sign.h), the windows of streams
// to kMaxWindowBytes. Of one connection. Not thread-safe.
class WindowLimit {
 public:
  // A SETTINGS frame begins.
  void Begin() { position_ = 0; }

  // The next bytes of its payload, in pieces of any size. Changed in place.
  void Apply(absl::Span<uint8_t> payload);

 private:
  void Take(uint8_t& byte);
  void Lower(uint8_t& byte, size_t index);

  bool is_wanted_ = false;
  size_t position_ = 0;  // Within an entry: a setting's number and its value.
  uint16_t number_ = 0;
  uint32_t value_ = 0;
  bool is_over_ = false;     // The bytes of the value before this one were more than the limit's.
  bool is_invalid_ = false;  // 2^31 or more: gRPC is to see it, and to close the connection.
};

}  // namespace tensord
