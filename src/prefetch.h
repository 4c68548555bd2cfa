// Tells the caches what is about to be read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace tensord {

// Of the bytes, the first few lines: what follows them the processor foresees. Never faults,
// whatever has become of the memory.
inline void Prefetch(const std::byte* bytes, uint64_t size_bytes) {
  constexpr uint64_t kMostBytes = 256;
  constexpr uint64_t kCacheLineBytes = 64;
  for (uint64_t at = 0; at < std::min(size_bytes, kMostBytes); at += kCacheLineBytes) {
    __builtin_prefetch(bytes + at);
  }
}

}  // namespace tensord
