#include "src/decode_values.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <limits>

namespace tensord {
namespace {

// What a format of at most 16 bits does with the patterns that IEEE 754 keeps for infinity and NaN.
enum class Special : uint8_t {
  kIeee,   // The largest exponent is infinity or NaN.
  kFn,     // No infinity; NaN is all ones but for the sign.
  kFnuz,   // No infinity and no negative zero, whose pattern is the only NaN.
  kFinite  // Neither.
};

struct FloatFormat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  Special special;
};

constexpr FloatFormat kF4 = {2, 1, 1, Special::kFinite};
constexpr FloatFormat kF6E2M3 = {2, 3, 1, Special::kFinite};
constexpr FloatFormat kF6E3M2 = {3, 2, 3, Special::kFinite};
constexpr FloatFormat kF8E5M2 = {5, 2, 15, Special::kIeee};
constexpr FloatFormat kF8E4M3 = {4, 3, 7, Special::kFn};
constexpr FloatFormat kF8E4M3Fnuz = {4, 3, 8, Special::kFnuz};
constexpr FloatFormat kF8E5M2Fnuz = {5, 2, 16, Special::kFnuz};
constexpr FloatFormat kF16 = {5, 10, 15, Special::kIeee};
constexpr FloatFormat kBF16 = {8, 7, 127, Special::kIeee};

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool IsNan(const FloatFormat& format, uint32_t exponent, uint32_t mantissa, bool negative) {
  const uint32_t max_exponent = (1u << format.exponent_bits) - 1;
  const uint32_t max_mantissa = (1u << format.mantissa_bits) - 1;
  switch (format.special) {
    case Special::kIeee:
      return exponent == max_exponent && mantissa != 0;
    case Special::kFn:
      return exponent == max_exponent && mantissa == max_mantissa;
    case Special::kFnuz:
      return negative && exponent == 0 && mantissa == 0;
    case Special::kFinite:
      return false;
  }
  return false;
}

double DecodeFloat(const FloatFormat& format, uint64_t pattern) {
  const auto bits = static_cast<uint32_t>(pattern);
  const uint32_t mantissa = bits & ((1u << format.mantissa_bits) - 1);
  const uint32_t max_exponent = (1u << format.exponent_bits) - 1;
  const uint32_t exponent = bits >> format.mantissa_bits & max_exponent;
  const bool negative = (bits >> (format.mantissa_bits + format.exponent_bits) & 1) != 0;
  if (IsNan(format, exponent, mantissa, negative)) return kNan;
  double size = 0;
  if (format.special == Special::kIeee && exponent == max_exponent) {
    size = kInfinity;
  } else {
    // Subnormals lack the leading one, and share the smallest exponent with the numbers above them.
    const uint32_t digits = exponent == 0 ? mantissa : mantissa | 1u << format.mantissa_bits;
    const int power = static_cast<int>(exponent == 0 ? 1 : exponent) - format.bias;
    size = std::ldexp(digits, power - format.mantissa_bits);
  }
  return negative ? -size : size;
}

// An exponent without sign and mantissa: 2^-127 to 2^127.
double DecodeE8M0(uint64_t bits) {
  return bits == 0xff ? kNan : std::ldexp(1.0, static_cast<int>(bits) - 127);
}

double DecodeF32(uint64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }

int64_t SignExtend(uint64_t bits, uint32_t width) {
  return static_cast<int64_t>(bits << (64 - width)) >> (64 - width);
}

// The bits of element `index` of width `width`, which is 4, 6 or a multiple of 8.
uint64_t Pattern(absl::Span<const std::byte> bytes, size_t index, uint32_t width) {
  const uint64_t first_bit = uint64_t{index} * width;
  const size_t first = first_bit / 8;
  const size_t end = (first_bit + width + 7) / 8;
  uint64_t value = 0;
  for (size_t i = end; i > first; --i) value = value << 8 | std::to_integer<uint64_t>(bytes[i - 1]);
  value >>= first_bit % 8;
  return width == 64 ? value : value & ((uint64_t{1} << width) - 1);
}

// `decode` turns the bits of one number of `width` bits into a T.
template <typename T, typename Decode>
std::vector<T> DecodeAll(absl::Span<const std::byte> bytes, size_t count, uint32_t width,
                         Decode decode) {
  std::vector<T> values;
  values.reserve(count);
  for (size_t i = 0; i < count; ++i) values.push_back(decode(Pattern(bytes, i, width)));
  return values;
}

double DecodeNumber(Dtype dtype, uint64_t bits) {
  switch (dtype) {
    case Dtype::kF4:
      return DecodeFloat(kF4, bits);
    case Dtype::kF6E2M3:
      return DecodeFloat(kF6E2M3, bits);
    case Dtype::kF6E3M2:
      return DecodeFloat(kF6E3M2, bits);
    case Dtype::kF8E5M2:
      return DecodeFloat(kF8E5M2, bits);
    case Dtype::kF8E4M3:
      return DecodeFloat(kF8E4M3, bits);
    case Dtype::kF8E8M0:
      return DecodeE8M0(bits);
    case Dtype::kF8E4M3Fnuz:
      return DecodeFloat(kF8E4M3Fnuz, bits);
    case Dtype::kF8E5M2Fnuz:
      return DecodeFloat(kF8E5M2Fnuz, bits);
    case Dtype::kF16:
      return DecodeFloat(kF16, bits);
    case Dtype::kBF16:
      return DecodeFloat(kBF16, bits);
    case Dtype::kF32:
    case Dtype::kC64:  // Each part is one.
      return DecodeF32(bits);
    case Dtype::kF64:
      return std::bit_cast<double>(bits);
    default:
      assert(false && "an integer is no floating-point number");
      return kNan;
  }
}

}  // namespace

uint64_t PackedBytes(Dtype dtype, uint64_t num_elements) {
  return (num_elements * BitsPerElement(dtype) + 7) / 8;
}

Values DecodeValues(Dtype dtype, absl::Span<const std::byte> bytes, size_t num_elements) {
  assert(bytes.size() >= PackedBytes(dtype, num_elements));
  const uint32_t width = BitsPerElement(dtype);
  const auto decode = [dtype](uint64_t bits) { return DecodeNumber(dtype, bits); };
  switch (dtype) {
    case Dtype::kBool:
    case Dtype::kU8:
    case Dtype::kU16:
    case Dtype::kU32:
    case Dtype::kU64:
      return DecodeAll<uint64_t>(bytes, num_elements, width, [](uint64_t bits) { return bits; });
    case Dtype::kI8:
    case Dtype::kI16:
    case Dtype::kI32:
    case Dtype::kI64:
      return DecodeAll<int64_t>(bytes, num_elements, width,
                                [width](uint64_t bits) { return SignExtend(bits, width); });
    case Dtype::kC64:
      return DecodeAll<double>(bytes, 2 * num_elements, width / 2, decode);
    default:
      return DecodeAll<double>(bytes, num_elements, width, decode);
  }
}

}  // namespace tensord
