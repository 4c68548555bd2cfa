// The element types of safetensors, spelled as its files spell them.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace tensord {

// In the order of the reference implementation (huggingface/safetensors, `tensor.rs`).
enum class Dtype : uint8_t {
  kBool,
  kF4,
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

inline constexpr int kNumDtypes = 22;

// Size of one element in bits: 4 and 6 for the sub-byte types, else a multiple of 8.
uint32_t BitsPerElement(Dtype dtype);

// The name in files and on the wire, e.g. "BF16". Lives for ever.
absl::string_view DtypeName(Dtype dtype);

// Exact and case-sensitive, as the reference reads it; nullopt for any other text.
std::optional<Dtype> ParseDtype(absl::string_view name);

}  // namespace tensord
