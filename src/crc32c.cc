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
// The processor's instruction takes three cycles and can begin in each, so three blocks are passed
// at a time. Their states are joined by a table; long blocks make that rare, short ones leave less
// of small data to a single pass.
constexpr size_t kLongBlockBytes = 2048;
constexpr size_t kShortBlockBytes = 256;

using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;

// Row k, column b: what `num_bytes` zero bytes make of the state b << 8k. A state is the sum of its
// bytes' parts, and so is what becomes of it.
constexpr ShiftTable ShiftOver(size_t num_bytes) {
  ShiftTable table{};
  for (size_t bit = 0; bit < 32; ++bit) {
    uint32_t state = uint32_t{1} << bit;
    for (size_t i = 0; i < num_bytes; ++i) state = (state >> 8) ^ kTable[0][state & 0xFF];
    table[bit / 8][size_t{1} << bit % 8] = state;
  }
  for (auto& row : table) {
    for (size_t byte = 1; byte < 256; ++byte) {
      const size_t low_bit = byte & (~byte + 1);
      if (byte != low_bit) row[byte] = row[low_bit] ^ row[byte ^ low_bit];
    }
  }
  return table;
}

template <size_t kBlockBytes>
constexpr ShiftTable kShift = ShiftOver(kBlockBytes);

template <size_t kBlockBytes>
uint32_t Shift(uint64_t state) {
  const ShiftTable& table = kShift<kBlockBytes>;
  return table[0][state & 0xFF] ^ table[1][state >> 8 & 0xFF] ^ table[2][state >> 16 & 0xFF] ^
         table[3][state >> 24 & 0xFF];
}

// Passes as many triples of blocks as there are.
template <size_t kBlockBytes>
__attribute__((target("sse4.2"))) uint64_t ExtendTriples(uint64_t state, const std::byte*& data,
                                                         size_t& size) {
  static_assert(kBlockBytes % 8 == 0);
  for (; size >= 3 * kBlockBytes; size -= 3 * kBlockBytes) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (const std::byte* const end = data + kBlockBytes; data != end; data += 8) {
      state = _mm_crc32_u64(state, LoadLittleEndian64(data));
      second = _mm_crc32_u64(second, LoadLittleEndian64(data + kBlockBytes));
      third = _mm_crc32_u64(third, LoadLittleEndian64(data + 2 * kBlockBytes));
    }
    state = Shift<kBlockBytes>(Shift<kBlockBytes>(state) ^ second) ^ third;
    data += 2 * kBlockBytes;
  }
  return state;
}

__attribute__((target("sse4.2"))) uint32_t ExtendSse42(uint32_t crc, const std::byte* data,
                                                       size_t size) {
  uint64_t state = ~crc;
  state = ExtendTriples<kLongBlockBytes>(state, data, size);
  state = ExtendTriples<kShortBlockBytes>(state, data, size);
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
