// Feeds headers to the validator. Input: the size of the data (u32, little-endian), then the JSON.
// No input crashes; what is accepted tiles the data without hole, overlap or rest, and every name
// is found.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <utility>
#include <vector>

#include "src/error.h"
#include "src/safetensors_header.h"

namespace tensord {
namespace {

void Require(bool condition, const char* fact) {
  if (condition) return;
  std::cerr << "not true: " << fact << '\n';
  std::abort();
}

void CheckNames(const SafetensorsHeader& header) {
  for (size_t i = 0; i < header.num_tensors(); ++i) {
    Require(header.Find(header.tensor(i).name) == i, "every name is found at its place");
    Require(i == 0 || header.tensor(i - 1).name < header.tensor(i).name, "names ascend");
  }
}

void CheckTiling(const SafetensorsHeader& header, uint64_t file_size) {
  std::vector<std::pair<uint64_t, uint64_t>> runs;
  for (size_t i = 0; i < header.num_tensors(); ++i) {
    const SafetensorsHeader::Entry entry = header.tensor(i);
    uint64_t bits = BitsPerElement(entry.dtype);
    // Extents that hold a zero may overflow behind it, which is harmless.
    const bool empty = std::count(entry.shape.begin(), entry.shape.end(), 0u) > 0;
    for (const uint64_t extent : entry.shape) bits *= empty ? 0 : extent;
    Require(entry.size_bytes == bits / 8 && bits % 8 == 0, "a tensor has its shape's size");
    runs.emplace_back(entry.offset_bytes, entry.size_bytes);
  }
  std::sort(runs.begin(), runs.end());
  uint64_t end = kHeaderLengthBytes + header.json_size_bytes();
  for (const auto& [offset, size] : runs) {
    Require(offset == end, "a tensor begins where the one before ends");
    end += size;
  }
  Require(end == file_size, "the tensors end with the file");
}

void Check(absl::string_view json, uint32_t data_bytes) {
  const uint64_t file_size = kHeaderLengthBytes + json.size() + data_bytes;
  const absl::StatusOr<SafetensorsHeader> header = SafetensorsHeader::Parse(json, file_size);
  if (!header.ok()) {
    Require(ErrorDetails(header.status()).count("variant") == 1, "an error names its variant");
    return;
  }
  CheckNames(*header);
  CheckTiling(*header, file_size);
  Require(header->memory_bytes() <= 4 * json.size() + 1024, "memory is bounded by the JSON");
}

}  // namespace
}  // namespace tensord

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint32_t data_bytes = 0;
  if (size < sizeof(data_bytes)) return 0;
  std::memcpy(&data_bytes, data, sizeof(data_bytes));
  tensord::Check(absl::string_view(reinterpret_cast<const char*>(data) + sizeof(data_bytes),
                                   size - sizeof(data_bytes)),
                 data_bytes);
  return 0;
}
