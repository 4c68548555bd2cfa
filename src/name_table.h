// What names mean: canonical ids, aliases, paths of files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/grouping.h"
#include "src/store_scan.h"

namespace tensord {

// A directory with models, under the id that its store and the hub's layout give it.
struct NamedDirectory {
  std::string id;  // "" for the root of a store without name.
  std::shared_ptr<const ScannedDirectory> scanned;
  size_t store = 0;  // Into the catalog's stores.
};

struct NamedModel {
  std::string id;  // Canonical: the directory's id and the group's name.
  uint32_t directory = 0;
  FileGroup group;
};

// Another spelling of the beginning of ids, e.g. "ORG/NAME" for "ORG/NAME@COMMIT".
struct PrefixAlias {
  std::string alias;
  std::vector<std::string> targets;  // Several: ambiguous.
};

// A model, or one file.
struct NameTarget {
  std::optional<uint32_t> model;
  uint32_t directory = 0;  // These two count without a model.
  uint32_t file = 0;       // Into ScannedDirectory::files.

  friend bool operator==(const NameTarget&, const NameTarget&) = default;
};

// Immutable after construction and thread-safe.
class NameTable {
 public:
  // `models` are in order of id, each id once. Both vectors must outlive the table.
  NameTable(const std::vector<NamedDirectory>& directories, const std::vector<NamedModel>& models,
            std::vector<PrefixAlias> aliases);

  // Whether errors may name a model or directory of this id.
  using IsShown = absl::FunctionRef<bool(absl::string_view id)>;

  // A canonical id is never ambiguous. MODEL_NOT_FOUND names the closest ids; AMBIGUOUS_MODEL the
  // candidates, also as detail "candidates".
  absl::StatusOr<NameTarget> Find(absl::string_view name, IsShown is_shown) const;

  // The shortest name that finds model `index`; of equally short ones the first byte-wise.
  std::string ShortName(uint32_t index) const;

  // The canonical id of a target.
  std::string IdOf(const NameTarget& target) const;

  // The model of this canonical id.
  std::optional<uint32_t> FindModel(absl::string_view id) const;

  // The file at this path, or the model that is this file alone.
  std::optional<NameTarget> FindFile(absl::string_view path) const;

  // The models of a directory, in order of id.
  absl::Span<const uint32_t> ModelsIn(uint32_t directory) const;

 private:
  // All meanings, or about `enough` of them where a directory has more.
  std::vector<NameTarget> Meanings(absl::string_view name, size_t enough) const;
  std::vector<NameTarget> ModelsOfDirectory(absl::string_view id, size_t enough) const;
  std::vector<std::string> SpellingsOf(absl::string_view directory_id) const;
  absl::Status NotFound(absl::string_view name, IsShown is_shown) const;
  absl::Status Ambiguous(absl::string_view name, const std::vector<NameTarget>& meanings,
                         IsShown is_shown) const;

  const std::vector<NamedDirectory>& directories_;
  const std::vector<NamedModel>& models_;
  absl::flat_hash_map<absl::string_view, uint32_t> directory_by_id_;
  // The models of directory i are by_directory_[first_[i]] to by_directory_[first_[i + 1] - 1].
  std::vector<uint32_t> by_directory_;
  std::vector<uint32_t> first_;
  absl::flat_hash_map<std::string, std::vector<std::string>> targets_;  // By alias.
  absl::flat_hash_map<std::string, std::vector<std::string>> aliases_;  // By target.
};

}  // namespace tensord
