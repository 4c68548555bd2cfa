#include "client/uncached_copy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace tensord {

#if defined(__x86_64__)

namespace {

// Stores are combined by lines, and take aligned addresses.
constexpr size_t kLineBytes = 64;

void CopyLine(std::byte* line, const char* source) {
  const auto* const from = reinterpret_cast<const __m128i*>(source);
  auto* const to = reinterpret_cast<__m128i*>(line);
  const __m128i first = _mm_loadu_si128(from);
  const __m128i second = _mm_loadu_si128(from + 1);
  const __m128i third = _mm_loadu_si128(from + 2);
  const __m128i fourth = _mm_loadu_si128(from + 3);
  _mm_stream_si128(to, first);
  _mm_stream_si128(to + 1, second);
  _mm_stream_si128(to + 2, third);
  _mm_stream_si128(to + 3, fourth);
}

}  // namespace

void CopyUncached(std::byte* destination, const char* source, size_t size) {
  const size_t misplaced = reinterpret_cast<uintptr_t>(destination) % kLineBytes;
  const size_t head = std::min(size, (kLineBytes - misplaced) % kLineBytes);
  std::memcpy(destination, source, head);
  size_t done = head;
  for (; size - done >= kLineBytes; done += kLineBytes) {
    CopyLine(destination + done, source + done);
  }
  std::memcpy(destination + done, source + done, size - done);
  _mm_sfence();  // Such stores are not ordered before those that tell another thread.
}

#else

void CopyUncached(std::byte* destination, const char* source, size_t size) {
  std::memcpy(destination, source, size);
}

#endif

}  // namespace tensord
