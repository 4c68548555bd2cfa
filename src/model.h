// A model: the tensors of one file, or of the shards of one checkpoint, under one name and version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "src/file_closer.h"
#include "src/file_identity.h"
#include "src/file_place.h"
#include "src/lazy.h"
#include "src/mutex.h"
#include "src/read_mode.h"
#include "src/safetensors_header.h"
#include "src/served_file.h"
#include "tensord/dtype.h"
#include "tensord/error_reason.h"
#include "tensord/model_info.h"

namespace tensord {

// One safetensors file of a model.
struct ModelFile {
  std::string name;  // Relative to the model's directory.
  uint64_t size_bytes = 0;
  std::string sha256;  // 64 hex digits where the hub's blob name says it, else empty.
  std::shared_ptr<const SafetensorsHeader> header;  // Null when the file is missing or invalid.
};

class MappingCache;
class StoreRoot;
struct SafetensorsFile;
struct ScannedDirectory;

// Immutable, thread-safe; views it returns live as long as the model.
class Model {
 public:
  // A tensor of the model's view: where an index decides, only what the index names.
  struct Tensor {
    absl::string_view name;
    Dtype dtype = Dtype::kU8;
    absl::Span<const uint64_t> shape;
    uint64_t size_bytes = 0;
    size_t file = 0;            // Into files().
    uint64_t offset_bytes = 0;  // In that file.
  };

  const std::string& id() const { return id_; }  // Canonical: [STORE/]D/G.
  // The shortest unambiguous name in its catalog.
  const std::string& short_name() const { return short_name_; }
  const std::string& version() const { return version_; }
  ModelState state() const { return state_; }
  const std::vector<Problem>& problems() const { return problems_; }
  const std::vector<ModelFile>& files() const { return files_; }  // In order of name.
  // In order of name; looked up at first use, which may wait for the file system.
  const std::vector<SideFile>& side_files() const;
  bool knows_side_files() const { return side_files_.is_computed(); }
  uint64_t size_bytes() const { return size_bytes_; }  // Of all tensors' data.
  uint64_t num_parameters() const { return num_parameters_; }
  // In the order of Dtype; only those that occur.
  const std::vector<DtypeUsage>& dtypes() const { return dtypes_; }

  size_t num_tensors() const;
  Tensor tensor(size_t index) const;  // In byte-wise order of names.
  // Tensor indices sorted so that numbers count as numbers ("layers.2" before "layers.10"); made at
  // first use.
  absl::Span<const uint32_t> natural_order() const;
  // By file, then by offset.
  absl::Span<const uint32_t> file_order() const;

  // TENSOR_NOT_FOUND names the closest names, or the kept tensor where `name` stands only as an
  // alias in
  // `__metadata__`; SHARD_MISSING or FILE_INVALID where the index places the tensor in a file that
  // is not served.
  absl::StatusOr<size_t> Find(absl::string_view name) const { return Find(name, 0); }
  // The same, quicker where the tensor stands near `near`, the index of any tensor: who reads many
  // asks for neighbours.
  absl::StatusOr<size_t> Find(absl::string_view name, size_t near) const;

  // The file's mapping, opened at first use and kept as long as somebody holds it or the catalog
  // does. FILE_CHANGED when the file is no longer the one whose header was parsed; FILE_INVALID,
  // SHARD_MISSING as Find. Errors name the file.
  absl::StatusOr<std::shared_ptr<const ServedFile>> Map(size_t file) const;

  // The same if it takes no waiting, because the file is open already; else null.
  std::shared_ptr<const ServedFile> FindMapped(size_t file) const;
  // Where Map, and reading what it returns, waits.
  FilePlace place(size_t file) const { return tensord::PlaceOf(records_[file].identity); }
  // The same for MapFile; of a name that is no file's, of the model's directory.
  FilePlace PlaceOf(absl::string_view name) const;

  // A model's own file or side file by its name in the listing, opened for reading its original
  // bytes. FILE_NOT_FOUND names the closest ones. A side file for which `is_shown(name)` is false
  // counts as none.
  using IsShown = absl::FunctionRef<bool(absl::string_view name)>;
  absl::StatusOr<std::shared_ptr<const ServedFile>> MapFile(
      absl::string_view name, IsShown is_shown = [](absl::string_view) { return true; }) const;

  // What the model occupies beyond its mappings, roughly.
  uint64_t memory_bytes() const;

  // Whether a scan has nothing to look at again: no file was so young that its content may change
  // without a trace, or was caught changing.
  bool is_settled() const { return is_settled_; }
  // Whether reading may succeed though the files stay as they are (an I/O error).
  bool deserves_retry() const;
  // Whether a file was gone between the scan and the reading: the scan is not what is there.
  bool is_outdated() const { return is_outdated_; }

  // Where its files were found; its address tells whether a later scan found the same.
  const std::shared_ptr<const ScannedDirectory>& directory() const { return directory_; }

  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

 private:
  friend class ModelBuilder;
  friend class PartsReader;

  // A tensor of the view: an entry of a file's header.
  struct TensorRef {
    uint32_t file = 0;
    uint32_t entry = 0;
  };
  // A tensor that is known and not served.
  struct Refusal {
    std::string name;
    uint32_t problem = 0;                // Into problems_.
    std::optional<uint32_t> file;        // For a tensor of two files: one of them,
    std::optional<uint32_t> other_file;  // and the other.
  };
  // Of files_, in the same order.
  struct FileRecord {
    std::string real_path;            // In the store.
    FileIdentity identity;            // As its header was read.
    std::string header_digest;        // As SafetensorsFile's; empty when the file is not served.
    bool is_settled = false;          // Its content cannot have changed under the same identity.
    std::optional<uint32_t> problem;  // Why it is not served; into problems_.
  };
  // A side file and where it is.
  struct SideFiles {
    std::vector<SideFile> listed;
    std::vector<std::string> real_paths;  // Of listed, in the same order.
  };

  Model() = default;

  // What a former model knows of the file `name`, which has this identity now; nullopt when it must
  // be read.
  std::optional<SafetensorsFile> KnownFile(absl::string_view name,
                                           const FileIdentity& identity) const;
  // Its mapping, where there is one.
  std::shared_ptr<const ServedFile> KnownMapping(absl::string_view name) const;
  void KeepMapping(size_t file, const std::shared_ptr<const ServedFile>& mapping) const;

  TensorRef ref(size_t index) const;
  absl::string_view NameOf(size_t index) const;
  std::vector<uint32_t> SortedBy(bool natural) const;
  SideFiles FindSideFiles() const;
  absl::Status NotServed(const Refusal& refusal) const;
  absl::Status NotFound(absl::string_view name) const;
  absl::Status FileNotFound(absl::string_view name, IsShown is_shown) const;
  std::shared_ptr<const ServedFile> FindMapping(size_t file) const;
  absl::StatusOr<std::shared_ptr<const ServedFile>> OpenAndMap(const std::string& real_path) const;
  absl::StatusOr<std::shared_ptr<const ServedFile>> MapAsIs(const std::string& real_path,
                                                            absl::string_view name) const;

  std::string id_;
  std::string short_name_;
  std::string version_;
  ModelState state_ = ModelState::kReady;
  std::vector<Problem> problems_;
  std::vector<ModelFile> files_;
  std::vector<FileRecord> records_;
  uint64_t size_bytes_ = 0;
  uint64_t num_parameters_ = 0;
  std::vector<DtypeUsage> dtypes_;

  // Empty where the view is all of the only file.
  std::vector<TensorRef> view_;
  bool is_whole_file_ = false;
  std::vector<Refusal> refusals_;  // In order of name.
  // Without an index nothing tells which tensors a file held that is not served: any unknown name
  // may be one of them.
  std::optional<uint32_t> doubt_;  // Into problems_.

  std::shared_ptr<const StoreRoot> root_;
  std::shared_ptr<const ScannedDirectory> directory_;
  std::string group_;  // Its name in the directory.
  bool is_settled_ = true;
  bool is_outdated_ = false;
  std::shared_ptr<MappingCache> mappings_cache_;
  ReadMode read_mode_ = ReadMode::kAuto;
  std::shared_ptr<const FileCloser> closer_;

  Lazy<std::vector<uint32_t>> natural_order_;
  Lazy<std::vector<uint32_t>> file_order_;
  Lazy<SideFiles> side_files_;
  mutable Mutex mutex_;
  mutable std::vector<std::weak_ptr<const ServedFile>> mappings_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
