// CRC32C over bytes in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "client/piece_cursor.h"

namespace tensord {

inline absl::Span<const std::byte> BytesOf(absl::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// DATA_LOSS when `announced` is not the checksum of `data`, or is absent though `required` (for
// data that is not empty).
absl::Status CheckCrc32c(PieceCursor data, std::optional<uint32_t> announced, bool required);

}  // namespace tensord
