// How large messages are.
#pragma once

#include <algorithm>
#include <cstdint>

#include "server/file_faults.h"

namespace tensord {

// Below 64 KiB the cost of a message outweighs its data.
inline constexpr uint32_t kMinChunkBytes = 64 << 10;

// gRPC's default limit for receivers is 4 MiB, of which prefixes take at most 64 KiB.
inline constexpr uint32_t kMaxChunkBytes = (4 << 20) - (64 << 10);

inline constexpr uint32_t kDefaultChunkBytes = 1 << 20;

// What a request's `chunk_bytes` means: 0 is the server's default.
inline uint32_t ClampChunkBytes(uint32_t requested, uint32_t server_default) {
  return std::clamp(requested == 0 ? server_default : requested, kMinChunkBytes, kMaxChunkBytes);
}

// What a stream was asked for besides its bytes.
struct ChunkOptions {
  uint32_t chunk_bytes = kDefaultChunkBytes;  // Of data in a message, clamped.
  bool checksum = false;
  FileFaults* faults = nullptr;  // Null, or outlives the stream.
};

}  // namespace tensord
