// Which files of a directory belong to one model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "src/model_index.h"
#include "src/store_scan.h"

namespace tensord {

// "3 of 10" in `X-00003-of-00010.safetensors`, any number of digits.
struct ShardNumber {
  uint64_t number = 0;
  uint64_t count = 0;
};

struct GroupedName {
  std::string group;                 // "X", or "X.fp16" with a variant before or after the numbers.
  std::optional<ShardNumber> shard;  // Absent for a single file or an index.
};

// The group of a tensor or index file by its name, e.g. of `X.safetensors.index.fp16.json`
// "X.fp16".
GroupedName GroupOf(absl::string_view name);

// A sentence for each set of shards of `group` of which some are missing; the numbers that are
// there may be of sets of different counts. Numbers begin at 1, or with some writers at 0.
std::vector<std::string> MissingShards(absl::string_view group,
                                       absl::Span<const ShardNumber> present);

// Files are indices into ScannedDirectory::files, in order of name.
struct FileGroup {
  std::string name;
  std::optional<uint32_t> index_file;
  // Known while grouping only: what the index says, or why it cannot be trusted. Null without
  // index.
  std::shared_ptr<const absl::StatusOr<ModelIndex>> index;
  std::vector<uint32_t> files;   // By stem; with a sound index none, for the index decides.
  std::vector<uint32_t> strays;  // Of the stem of a sound index that does not name them.
};

using IndexReader = absl::FunctionRef<absl::StatusOr<ModelIndex>(const ScannedFile&)>;

// The groups in order of name, each name once: shards of one stem and a single file of the same
// name are one group unless an index decides.
std::vector<FileGroup> GroupFiles(const ScannedDirectory& directory, IndexReader read_index);

}  // namespace tensord
