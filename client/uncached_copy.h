// Copies past the processor's caches.
#pragma once

#include <cstddef>

namespace tensord {

// Memory that is larger than this has left the caches before anybody reads it.
inline constexpr size_t kUncachedBytes = size_t{4} << 20;

// As std::memcpy, for destinations above kUncachedBytes: a store that goes through the caches reads
// its line from memory first and drives out what others need, together a tenth of the processor
// time of a transfer over a socket (AMD EPYC, both sides). What was copied is seen by other threads
// as after std::memcpy. On processors other than x86-64 it is std::memcpy.
void CopyUncached(std::byte* destination, const char* source, size_t size);

}  // namespace tensord
