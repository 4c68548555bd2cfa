// Reads a model's headers and makes the Model of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/grouping.h"
#include "src/mapping_cache.h"
#include "src/model.h"
#include "src/safetensors_file.h"
#include "src/store_root.h"
#include "src/store_scan.h"

namespace tensord {

// A tensor's name longer than this, or a rank above, is legal in a file and not served: a page of a
// listing must hold a tensor's info.
inline constexpr size_t kMaxServedNameBytes = 4096;
inline constexpr size_t kMaxServedRank = 64;

// What the scan knows of a model before its headers are read.
struct ModelSource {
  std::shared_ptr<const StoreRoot> root;
  std::shared_ptr<const StoreScan> scan;
  const ScannedDirectory* directory = nullptr;  // In *scan.
  FileGroup group;
  bool is_file_alone =
      false;  // Asked for by the path of one file: shards of its stem do not matter.
  std::string id;
  std::string short_name;
  std::shared_ptr<MappingCache> mappings;
};

// Reads the index `file` of `directory`. Errors as ModelIndex::Parse and StoreRoot::OpenFile; the
// message does not name the file.
absl::StatusOr<ModelIndex> ReadModelIndex(const StoreRoot& root, const ScannedDirectory& directory,
                                          const ScannedFile& file);

// Builds one model; for one use.
class ModelBuilder {
 public:
  explicit ModelBuilder(const ModelSource& source);

  // Reads with up to `num_threads` threads. Never fails: what cannot be served is a problem of the
  // model.
  std::shared_ptr<const Model> Build(size_t num_threads) &&;

 private:
  // What was learnt of a file; Model's FileRecord and ModelFile come of it.
  struct Part {
    std::string name;                      // Relative to the model's directory.
    const ScannedFile* scanned = nullptr;  // Null: not in the store.
    std::string real_path;                 // In the store; empty: not to be opened.
    std::string fault;                     // Why it is not to be opened.
    ErrorReason fault_reason = ErrorReason::kFileInvalid;
    absl::StatusOr<SafetensorsFile> file = absl::UnknownError("not read");
  };
  using TensorRef = Model::TensorRef;

  void ListParts();
  void ListIndexedParts(const ModelIndex& index);
  Part PartOfIndexValue(const std::string& value) const;
  void AddPart(const ScannedFile& file);
  void ReadPart(size_t index) const;
  void LookAgainAtYoungFiles();
  void AddFiles();
  void ReportMissingShards();
  void ReportStrays();
  void BuildIndexedView(const ModelIndex& index);
  void BuildMergedView();
  void RefuseDuplicates(std::vector<TensorRef>& merged);
  void RefuseOversized();
  void AddTotals();
  void SetState();
  void SetVersion();
  absl::string_view NameOf(TensorRef ref) const;
  uint32_t AddProblem(absl::string_view file, ErrorReason reason, std::string message);
  void AddBadIndex();

  const ModelSource& source_;
  std::shared_ptr<const absl::StatusOr<ModelIndex>> index_;  // Null: the model has none.
  mutable std::vector<Part> parts_;    // In order of name. Threads write each its own element.
  std::vector<uint32_t> index_parts_;  // Part of each of index_'s files.
  std::shared_ptr<Model> model_;
};

}  // namespace tensord
