// CRC-32C (Castagnoli), as in iSCSI, gRPC's neighbours and `TensorPart.crc32c`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace tensord {

// The checksum of `bytes` behind bytes whose checksum is `crc` (0 for none): extending piece by
// piece gives the checksum of the whole. Uses SSE4.2 where the processor has it, about 8
// bytes a cycle.
uint32_t ExtendCrc32c(uint32_t crc, absl::Span<const std::byte> bytes);

// The same by table on any processor; a test holds the two equal.
uint32_t ExtendCrc32cPortable(uint32_t crc, absl::Span<const std::byte> bytes);

}  // namespace tensord
