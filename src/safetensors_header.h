// The validated header of one safetensors file: FORMAT.md's rules, in the reference
// implementation's order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tensord/dtype.h"

namespace tensord {

// The reference's limit on the JSON's size: decimal, inclusive.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

// The size of the JSON, little-endian, stands before it.
inline constexpr uint64_t kHeaderLengthBytes = 8;

// Whether a file of `file_size` bytes may have a header of `json_size` bytes: HeaderTooSmall,
// HeaderTooLarge or InvalidHeaderLength, in that order. Ask before allocating json_size bytes.
absl::Status CheckHeaderLength(uint64_t json_size, uint64_t file_size);

struct RawHeader;
struct RawTensor;

// Compact and immutable: names, shapes and metadata live in a few large blocks, because a store may
// hold millions of tensors. Every view it returns lives as long as the header.
class SafetensorsHeader {
 public:
  // A view of one entry.
  struct Entry {
    absl::string_view name;
    Dtype dtype = Dtype::kU8;
    absl::Span<const uint64_t> shape;
    uint64_t offset_bytes = 0;  // In the file, not in the data section.
    uint64_t size_bytes = 0;
  };
  struct MetadataEntry {
    absl::string_view key;
    absl::string_view value;
  };

  // Validates `json`, the header's bytes without the 8 bytes of length, of a file of `file_size`
  // bytes. Errors are FILE_INVALID with detail "variant" = the reference's name (FORMAT.md section
  // 1), which also opens the message: "InvalidOffset: tensor \"x\" begins at 8, wanted 0".
  // Iterative, memory bounded by a small multiple of json.
  static absl::StatusOr<SafetensorsHeader> Parse(absl::string_view json, uint64_t file_size);

  size_t num_tensors() const;
  Entry tensor(size_t index) const;  // In byte-wise order of names.
  std::optional<size_t> Find(absl::string_view name) const;

  // Absent when the file has no `__metadata__` or it is null; present and empty for `{}`. In the
  // file's order.
  bool has_metadata() const;
  size_t num_metadata_entries() const;
  MetadataEntry metadata(size_t index) const;

  uint64_t json_size_bytes() const;  // As Parse was given it.
  // What this object occupies: at most 4 times json_size_bytes() and a constant.
  uint64_t memory_bytes() const;

 private:
  // What Entry shows; names and shapes stand in `text_` and `extents_`.
  struct Record {
    uint64_t offset_bytes = 0;
    uint64_t size_bytes = 0;
    uint32_t name_offset = 0;
    uint32_t name_bytes = 0;
    uint32_t shape_offset = 0;
    uint32_t rank = 0;
    Dtype dtype = Dtype::kU8;
  };
  // The key ends where the value begins.
  struct MetadataRecord {
    uint32_t key_offset = 0;
    uint32_t value_offset = 0;
    uint32_t end_offset = 0;
  };

  SafetensorsHeader(const RawHeader& raw, absl::Span<const uint32_t> name_order,
                    uint64_t json_size_bytes);

  absl::string_view Text(uint32_t begin, uint32_t end) const;
  uint32_t AddText(absl::string_view text);
  void AddTensor(const RawHeader& raw, const RawTensor& tensor);

  std::vector<char> text_;  // Not a string: views must survive a move.
  std::vector<uint64_t> extents_;
  std::vector<Record> records_;
  std::vector<MetadataRecord> metadata_;
  bool has_metadata_ = false;
  uint64_t json_size_bytes_ = 0;
};

}  // namespace tensord
