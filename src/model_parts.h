// The files of one model, found and read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "src/file_closer.h"
#include "src/grouping.h"
#include "src/mapping_cache.h"
#include "src/model.h"
#include "src/model_index.h"
#include "src/read_mode.h"
#include "src/safetensors_file.h"
#include "src/store_root.h"
#include "src/store_scan.h"
#include "tensord/error_reason.h"

namespace tensord {

// What the scan knows of a model before its headers are read.
struct ModelSource {
  std::shared_ptr<const StoreRoot> root;
  std::shared_ptr<const StoreScan> scan;
  std::shared_ptr<const ScannedDirectory> directory;  // In *scan.
  FileGroup group;
  bool is_file_alone =
      false;  // Asked for by the path of one file: shards of its stem do not matter.
  std::string id;
  std::string short_name;
  std::shared_ptr<MappingCache> mappings;
  ReadMode read_mode = ReadMode::kAuto;
  // Files whose headers take more in all are not served: what a model keeps of them lives as long
  // as it does.
  uint64_t max_index_bytes = std::numeric_limits<uint64_t>::max();
  std::shared_ptr<const FileCloser> closer;  // May be null.
  // As it was before, or one with the same files; null when nothing is known of them.
  std::shared_ptr<const Model> former;
  std::atomic<uint64_t>* num_headers_read = nullptr;  // Counts. Must outlive the building.
};

// Reads the index `file` of `directory`. Errors as ModelIndex::Parse and StoreRoot::OpenFile; the
// message does not name the file.
absl::StatusOr<ModelIndex> ReadModelIndex(const StoreRoot& root, const ScannedDirectory& directory,
                                          const ScannedFile& file);

// What was learnt of one file.
struct ModelPart {
  std::string name;                      // Relative to the model's directory.
  const ScannedFile* scanned = nullptr;  // Null: not in the store.
  std::string real_path;                 // In the store; empty: not to be opened.
  std::string fault;                     // Why it is not to be opened, as a predicate.
  ErrorReason fault_reason = ErrorReason::kFileInvalid;
  absl::StatusOr<SafetensorsFile> file = absl::UnknownError("not read");
  std::shared_ptr<const ServedFile> mapping;  // Of the very file that was read; may be null.
  bool is_settled = false;  // The file was at rest long enough that its identity tells its content.
  bool is_gone = false;     // The scan found it; it was gone when it was to be read.
};

struct ModelParts {
  std::vector<ModelPart> parts;  // In order of name.
  // What the index says, or why it cannot be trusted; null: the model has none.
  std::shared_ptr<const absl::StatusOr<ModelIndex>> index;
  std::vector<uint32_t> part_of_file;  // For each of a sound index's files; into parts.

  bool has_sound_index() const { return index != nullptr && index->ok(); }
};

// Finds the model's files, by its index or by its group, and reads with up to `num_threads` threads
// the headers that the former model does not know. A file that was written less than two seconds
// ago is looked at again in the end, and refused with FILE_CHANGED if it does not hold still.
ModelParts ReadModelParts(const ModelSource& source, size_t num_threads);

}  // namespace tensord
