// An immutable picture of all models of the stores at one moment.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/model.h"

namespace tensord {

// `--store DIR` (no name: its models stand at the top) or `--store NAME=DIR`.
struct StoreOptions {
  std::string name;  // Matches [A-Za-z0-9._-]+, or empty.
  std::string path;
};

// Immutable and thread-safe. Held by shared_ptr: a call keeps the snapshot it began with.
class Catalog {
 public:
  // Scans the stores, groups their files and reads headers with `num_threads` threads. A file that
  // cannot be served is a problem of its model, never an error here. Errors: NOT_FOUND or
  // FAILED_PRECONDITION naming the store's path as it was given when a store is not a readable
  // directory; INVALID_ARGUMENT for a bad or repeated name, or several stores of which one has
  // none.
  static absl::StatusOr<std::shared_ptr<const Catalog>> Load(
      const std::vector<StoreOptions>& stores, size_t num_threads);

  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  size_t num_models() const;
  // By canonical id, byte-wise. Loads the model's headers at first use if Load has not.
  std::shared_ptr<const Model> model(size_t index) const;
  absl::string_view model_id(size_t index) const;

  // By canonical id, alias, or a file's path with `.safetensors`. A canonical id always finds its
  // model, whatever else the name may mean. MODEL_NOT_FOUND names the closest ids; AMBIGUOUS_MODEL
  // the candidates.
  absl::StatusOr<std::shared_ptr<const Model>> Find(absl::string_view name) const;

  // Files that belong to no model because they cannot be named or opened (not UTF-8, outside the
  // root, a FIFO).
  const std::vector<Problem>& problems() const;

 private:
  struct State;

  explicit Catalog(std::unique_ptr<State> state);

  const std::unique_ptr<State> state_;
};

}  // namespace tensord
