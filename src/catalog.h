// An immutable picture of all models of the stores at one moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/file_closer.h"
#include "src/file_place.h"
#include "src/model.h"
#include "src/read_mode.h"
#include "src/store.h"

namespace tensord {

inline constexpr uint64_t kDefaultIndexMemoryBytes = 64 << 20;
// Each is a mapping too, of which Linux allows a process 65,530.
inline constexpr size_t kMaxOpenFiles = 32'768;

// How many files are kept open where nobody says: a quarter of the descriptors that the process may
// have, because sockets need the rest.
size_t DefaultMaxOpenFiles(uint64_t num_descriptors);

struct CatalogOptions {
  size_t num_threads = 1;  // That read the headers of one model.
  // Parsed headers that are kept; DeepSeek-V3's 91,991 tensors take 14 MiB. Of a model whose
  // headers take more, the files that do not fit are listed as a problem and not served.
  uint64_t index_memory_bytes = kDefaultIndexMemoryBytes;
  // Files kept open between requests, up to kMaxOpenFiles; 0: DefaultMaxOpenFiles.
  size_t max_open_files = 0;
  ReadMode read_mode = ReadMode::kAuto;
  std::shared_ptr<const FileCloser> closer;  // Of remote files; null: they are closed in place.
};

// How a catalog differs from the one before it, in models.
struct CatalogChanges {
  size_t num_added = 0;
  size_t num_removed = 0;
  size_t num_changed = 0;  // Of the same id, with other files.
};

// Immutable and thread-safe. Held by shared_ptr: a call keeps the snapshot it began with.
class Catalog {
 public:
  // Scans the stores, groups their files and reads headers ahead, within the budget. A file that
  // cannot be served is a problem of its model, never an error here. Errors: NOT_FOUND or
  // FAILED_PRECONDITION naming the store's path as it was given when a store is not a readable
  // directory; INVALID_ARGUMENT for a bad or repeated name, or several stores of which one has
  // none.
  static absl::StatusOr<std::shared_ptr<const Catalog>> Load(
      const std::vector<StoreOptions>& stores, const CatalogOptions& options, WatchDirectory watch);
  static absl::StatusOr<std::shared_ptr<const Catalog>> Load(
      const std::vector<StoreOptions>& stores, size_t num_threads);

  struct Reloaded {
    std::shared_ptr<const Catalog> catalog;
    // As Load, of the first store that is gone altogether. What was known of it stays, and the
    // others are as they are now.
    absl::Status status;
  };
  // The same stores as they are now, for one thread at a time; `previous` itself when nothing has
  // changed. What was read of unchanged files is taken over, as is what cannot be listed now
  // because of an I/O error.
  static Reloaded Reload(const std::shared_ptr<const Catalog>& previous, WatchDirectory watch);

  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  size_t num_models() const;
  // By canonical id, byte-wise. Loads the model's headers at first use if Load has not.
  std::shared_ptr<const Model> model(size_t index) const;
  absl::string_view model_id(size_t index) const;
  bool HasModel(absl::string_view id) const;

  // By canonical id, alias, or a file's path with `.safetensors`. A canonical id always finds its
  // model, whatever else the name may mean. MODEL_NOT_FOUND names the closest ids; AMBIGUOUS_MODEL
  // the candidates.
  absl::StatusOr<std::shared_ptr<const Model>> Find(absl::string_view name) const;
  // The same, with only such ids in errors for which `is_shown(id)`.
  absl::StatusOr<std::shared_ptr<const Model>> Find(
      absl::string_view name, absl::FunctionRef<bool(absl::string_view)> is_shown) const;

  // Files that belong to no model because they cannot be named or opened (not UTF-8, outside the
  // root, a FIFO).
  const std::vector<Problem>& problems() const;

  // What Find would return, if it needs to read no headers for it.
  struct Known {
    std::shared_ptr<const Model> model;  // Null: the headers are not in memory,
    FilePlace place;                     // and here Find waits for them.
  };
  // Never waits for a file. Errors as Find.
  absl::StatusOr<Known> FindKnown(absl::string_view name,
                                  absl::FunctionRef<bool(absl::string_view)> is_shown) const;
  // Whether the headers of all models are in memory, so that model() reads none.
  bool KnowsAllModels() const;

  // The models whose headers are in memory now.
  std::vector<std::shared_ptr<const Model>> LoadedModels() const;

  // Whether a reload soon may find more though nothing tells: a file was written less than 2 s
  // before it was read, or while; or a directory could not be listed.
  bool NeedsAnotherLook() const;

  // Against the catalog it was reloaded from; all zero for a loaded one.
  const CatalogChanges& changes() const;

  // Headers read from files since Load, by this catalog and those before it.
  uint64_t num_headers_read() const;
  // Mappings kept between requests.
  size_t num_open_files() const;
  uint64_t mapped_bytes() const;  // Of those.

 private:
  struct State;

  explicit Catalog(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace tensord
