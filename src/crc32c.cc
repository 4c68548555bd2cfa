#include "src/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace tensord {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // Castagnoli's, bits reversed.

// Row 0 advances the checksum over one byte, row k over a byte that k zero bytes follow, so that
// eight look-ups pass eight bytes.
constexpr auto kTable = [] {
  std::array<std::array<uint32_t, 256>, 8> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[0][byte] = crc;
  }
  for (size_t row = 1; row < 8; ++row) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = table[row - 1][byte];
      table[row][byte] = (before >> 8) ^ table[0][before & 0xFF];
    }
  }
  return table;
}();

uint64_t LoadLittleEndian64(const std::byte* data) {
  uint64_t word = 0;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t ExtendSse42(uint32_t crc, const std::byte* data,
                                                       size_t size) {
  uint64_t state = ~crc;
  for (; size >= 8; data += 8, size -= 8) state = _mm_crc32_u64(state, LoadLittleEndian64(data));
  uint32_t rest = static_cast<uint32_t>(state);
  for (; size > 0; ++data, --size) rest = _mm_crc32_u8(rest, static_cast<uint8_t>(*data));
  return ~rest;
}
#endif

}  // namespace

uint32_t ExtendCrc32cPortable(uint32_t crc, absl::Span<const std::byte> bytes) {
  const std::byte* data = bytes.data();
  size_t size = bytes.size();
  crc = ~crc;
  for (; size >= 8; data += 8, size -= 8) {
    const uint64_t word = LoadLittleEndian64(data) ^ crc;
    crc = 0;
    for (size_t i = 0; i < 8; ++i) crc ^= kTable[7 - i][(word >> (8 * i)) & 0xFF];
  }
  for (; size > 0; ++data, --size) {
    crc = (crc >> 8) ^ kTable[0][(crc ^ static_cast<uint32_t>(*data)) & 0xFF];
  }
  return ~crc;
}

uint32_t ExtendCrc32c(uint32_t crc, absl::Span<const std::byte> bytes) {
#if defined(__x86_64__)
  static const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
  if (has_sse42) return ExtendSse42(crc, bytes.data(), bytes.size());
#endif
  return ExtendCrc32cPortable(crc, bytes);
}

}  // namespace tensord
