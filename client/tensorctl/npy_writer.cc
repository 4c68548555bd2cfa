#include "client/tensorctl/npy_writer.h"

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace tensord::ctl {
namespace {

constexpr size_t kAlignment = 64;        // numpy's ARRAY_ALIGN.
constexpr size_t kMaxVersion1 = 0xffff;  // Version 1.0 has two bytes for the length, 2.0 four.

constexpr uint64_t kMaxExtent = INT64_MAX;  // Its extents are signed.

// numpy's array-protocol string; empty for a dtype that numpy lacks.
absl::string_view Descr(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBool:
      return "|b1";
    case Dtype::kU8:
      return "|u1";
    case Dtype::kI8:
      return "|i1";
    case Dtype::kI16:
      return "<i2";
    case Dtype::kU16:
      return "<u2";
    case Dtype::kF16:
      return "<f2";
    case Dtype::kI32:
      return "<i4";
    case Dtype::kU32:
      return "<u4";
    case Dtype::kF32:
      return "<f4";
    case Dtype::kC64:
      return "<c8";
    case Dtype::kF64:
      return "<f8";
    case Dtype::kI64:
      return "<i8";
    case Dtype::kU64:
      return "<u8";
    default:
      return "";
  }
}

// A Python tuple: "()", "(3,)", "(3, 4)".
std::string Tuple(absl::Span<const uint64_t> shape) {
  return absl::StrCat("(", absl::StrJoin(shape, ", "), shape.size() == 1 ? ",)" : ")");
}

std::string LittleEndian(size_t value, size_t size_bytes) {
  std::string out;
  for (size_t i = 0; i < size_bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
  return out;
}

}  // namespace

absl::StatusOr<std::string> NpyHeader(Dtype dtype, absl::Span<const uint64_t> shape) {
  const absl::string_view descr = Descr(dtype);
  if (descr.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("numpy has no dtype ", DtypeName(dtype),
                     ", so it cannot be written as .npy; use -o FILE.safetensors, or "
                     "-o FILE.bin for the raw bytes"));
  }
  for (const uint64_t extent : shape) {
    if (extent <= kMaxExtent) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("numpy has no arrays of extent ", extent,
                     ", so it cannot be written as .npy; use -o FILE.safetensors"));
  }
  std::string dict = absl::StrCat("{'descr': '", descr,
                                  "', 'fortran_order': False, 'shape': ", Tuple(shape), ", }");
  // Magic and version take 8 bytes, the newline 1. Counting a length of 4 bytes decides the version
  // for either.
  const size_t length_bytes = dict.size() + 12 + 1 + kAlignment > kMaxVersion1 ? 4 : 2;
  const size_t unpadded = 8 + length_bytes + dict.size() + 1;
  dict.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  dict += '\n';
  return absl::StrCat("\x93NUMPY", length_bytes == 2 ? "\x01" : "\x02", absl::string_view("\0", 1),
                      LittleEndian(dict.size(), length_bytes), dict);
}

}  // namespace tensord::ctl
