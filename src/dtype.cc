#include "tensord/dtype.h"

#include <array>
#include <cstddef>

namespace tensord {
namespace {

struct DtypeRow {
  absl::string_view name;
  uint32_t bits;
};

constexpr std::array<DtypeRow, kNumDtypes> kRows = {{
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
}};

// The name's first bytes as one number: many tensors are parsed, and names compared byte by byte
// take longer than all else of a tensor's header.
constexpr uint64_t Beginning(absl::string_view name) {
  uint64_t beginning = 0;
  for (const char c : name.substr(0, sizeof(beginning))) {
    beginning = beginning << 8 | static_cast<unsigned char>(c);
  }
  return beginning;
}

constexpr std::array<uint64_t, kNumDtypes> Beginnings() {
  std::array<uint64_t, kNumDtypes> beginnings = {};
  for (size_t i = 0; i < kRows.size(); ++i) beginnings[i] = Beginning(kRows[i].name);
  return beginnings;
}

constexpr std::array<uint64_t, kNumDtypes> kBeginnings = Beginnings();

}  // namespace

uint32_t BitsPerElement(Dtype dtype) { return kRows[static_cast<size_t>(dtype)].bits; }

absl::string_view DtypeName(Dtype dtype) { return kRows[static_cast<size_t>(dtype)].name; }

std::optional<Dtype> ParseDtype(absl::string_view name) {
  const uint64_t beginning = Beginning(name);
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (kBeginnings[i] == beginning && kRows[i].name == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

}  // namespace tensord
