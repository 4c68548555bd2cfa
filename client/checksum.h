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

// As src/crc32c.h, over bytes in pieces.
uint32_t ExtendCrc32c(uint32_t crc, PieceCursor data);

// DATA_LOSS when `announced` is not `crc`, the checksum of `size_bytes` bytes, or is absent though
// `required` (for data that is not empty).
absl::Status CheckCrc32c(uint64_t size_bytes, uint32_t crc, std::optional<uint32_t> announced,
                         bool required);

}  // namespace tensord
