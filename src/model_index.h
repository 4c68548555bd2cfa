// `X.safetensors.index.json`: which file of a checkpoint holds which tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord {

// The largest seen is 17 MB.
inline constexpr uint64_t kMaxIndexBytes = 64 << 20;
// The largest checkpoint seen has 1,433 shards.
inline constexpr size_t kMaxIndexFiles = 100'000;
inline constexpr size_t kMaxIndexDepth = 128;

// What an index says, not whether it is true. Immutable; views live as long as it.
class ModelIndex {
 public:
  struct Entry {
    absl::string_view tensor;
    uint32_t file = 0;  // Into files().
  };

  // Reads the `weight_map`; everything else is passed over, whatever its type. FILE_INVALID names
  // the fault and where it is: not UTF-8 or JSON, no weight_map, a value that is no string, a
  // tensor placed in two files, a limit above.
  static absl::StatusOr<ModelIndex> Parse(absl::string_view json);

  size_t num_tensors() const { return entries_.size(); }
  Entry entry(size_t index) const;  // In byte-wise order of tensor names.

  // As the index spells them, sorted; each once.
  const std::vector<std::string>& files() const { return files_; }

  // SHA-256 of the JSON, 32 raw bytes: the index is part of a model's version.
  const std::string& digest() const { return digest_; }
  uint64_t size_bytes() const { return size_bytes_; }

 private:
  struct Row {
    uint64_t offset = 0;  // In names_.
    uint32_t size = 0;
    uint32_t file = 0;
  };
  friend class ModelIndexBuilder;

  std::string names_;
  std::vector<Row> entries_;
  std::vector<std::string> files_;
  std::string digest_;
  uint64_t size_bytes_ = 0;
};

// Where a weight_map value leads, seen from the index's `directory`: a path from the root.
// FILE_INVALID for an absolute path, one with `..`, or a name without `.safetensors`.
absl::StatusOr<std::string> ResolveIndexFile(absl::string_view directory, absl::string_view value);

}  // namespace tensord
