#include "server/window_limit.h"

#include "src/window_sign.h"

namespace tensord {
namespace {

// RFC 9113, 6.5.1 and 6.5.2.
constexpr size_t kNumberBytes = 2;
constexpr size_t kEntryBytes = kNumberBytes + sizeof(uint32_t);
constexpr uint16_t kInitialWindowSize = 4;
constexpr uint16_t kMaxHeaderListSize = 6;
constexpr uint8_t kFirstInvalidByte = 0x80;

static_assert((kMaxWindowBytes & (kMaxWindowBytes + 1)) == 0, "see WindowLimit::Lower");

}  // namespace

void WindowLimit::Apply(absl::Span<uint8_t> payload) {
  for (uint8_t& byte : payload) {
    Take(byte);
    position_ = (position_ + 1) % kEntryBytes;
  }
}

void WindowLimit::Take(uint8_t& byte) {
  if (position_ < kNumberBytes) {
    number_ = static_cast<uint16_t>(number_ << 8 | byte);
    return;
  }
  value_ = value_ << 8 | byte;
  if (number_ == kMaxHeaderListSize && position_ == kEntryBytes - 1) {
    is_wanted_ = value_ == kWindowSign;
  } else if (number_ == kInitialWindowSize && is_wanted_) {
    Lower(byte, position_ - kNumberBytes);
  }
}

// A value may end in a later piece, when its first bytes are gone already. As the limit is one less
// than a power of two, a byte that is more than the limit's decides: every later one is the
// limit's, and until then none has to be known.
void WindowLimit::Lower(uint8_t& byte, size_t index) {
  const auto most = static_cast<uint8_t>(kMaxWindowBytes >> (8 * (sizeof(value_) - 1 - index)));
  if (index == 0) {
    is_over_ = false;
    is_invalid_ = byte >= kFirstInvalidByte;
  }
  if (is_invalid_) return;
  is_over_ = is_over_ || byte > most;
  if (is_over_) byte = most;
}

}  // namespace tensord
