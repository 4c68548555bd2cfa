#include "src/inventory.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "src/escape.h"
#include "src/grouping.h"
#include "src/hub_cache.h"
#include "src/hub_names.h"
#include "src/model_parts.h"

namespace tensord {
namespace {

// The groups of directories that an earlier inventory has.
class KnownGroups {
 public:
  explicit KnownGroups(const Inventory* inventory) : inventory_(inventory) {
    if (inventory == nullptr) return;
    models_.reserve(inventory->directories.size());
    for (uint32_t i = 0; i < inventory->models.size(); ++i) {
      const NamedDirectory& directory = inventory->directories[inventory->models[i].directory];
      models_[directory.scanned.get()].push_back(i);
    }
  }

  // Appends them to `groups`; false when they are not known.
  bool Find(const ScannedDirectory& directory, std::vector<FileGroup>& groups) const {
    const auto known = models_.find(&directory);
    if (known == models_.end() || HasFaults(directory)) return false;
    for (const uint32_t model : known->second) {
      const FileGroup& group = inventory_->models[model].group;
      // The hub's names depend on what the index says.
      if (group.index_file && ParseHubPath(directory.path)) return false;
    }
    for (const uint32_t model : known->second) groups.push_back(inventory_->models[model].group);
    return true;
  }

 private:
  // A group of a file with a fault may be a problem and no model.
  static bool HasFaults(const ScannedDirectory& directory) {
    return std::any_of(directory.files.begin(), directory.files.end(),
                       [](const ScannedFile& file) { return !file.details().fault.empty(); });
  }

  const Inventory* const inventory_;
  absl::flat_hash_map<const ScannedDirectory*, std::vector<uint32_t>> models_;
};

// Adds one store after the other.
class InventoryTaker {
 public:
  explicit InventoryTaker(const Inventory* previous) : known_(previous) {}

  void Add(Store store);

  Inventory Take() && {
    std::sort(result_.models.begin(), result_.models.end(),
              [](const NamedModel& a, const NamedModel& b) { return a.id < b.id; });
    return std::move(result_);
  }

 private:
  // One store's part, its names still without the store's.
  struct Found {
    std::vector<NamedDirectory> directories;
    std::vector<NamedModel> models;
  };

  Found Look(const Store& store);
  void AddGroups(const Store& store, uint32_t directory_number, Found& found);
  void Report(absl::string_view path, ErrorReason reason, std::string message);

  const KnownGroups known_;
  Inventory result_;
};

void InventoryTaker::Report(absl::string_view path, ErrorReason reason, std::string message) {
  Problem problem;
  problem.file = Escape(path);
  problem.reason = reason;
  problem.message = std::move(message);
  result_.problems.push_back(std::move(problem));
}

void InventoryTaker::AddGroups(const Store& store, uint32_t directory_number, Found& found) {
  const ScannedDirectory& directory = *found.directories[directory_number].scanned;
  const auto read_index = [&](const ScannedFile& file) {
    return ReadModelIndex(*store.root, directory, file);
  };
  std::vector<FileGroup> groups;
  if (!known_.Find(directory, groups)) groups = GroupFiles(directory, read_index);
  for (FileGroup& group : groups) {
    const ScannedFile* only =
        group.index_file || group.files.size() != 1 ? nullptr : &directory.files[group.files[0]];
    if (only != nullptr && !only->details().fault.empty() && !GroupOf(only->name).shard) {
      const std::string path = JoinPath(directory.path, only->name);
      Report(path,
             only->details().is_missing ? ErrorReason::kFileNotFound : ErrorReason::kFileInvalid,
             absl::StrCat(Quote(path), " ", only->details().fault));
      continue;
    }
    NamedModel model;
    model.id = JoinPath(found.directories[directory_number].id, EncodeId(group.name));
    model.directory = directory_number;
    model.group = std::move(group);
    found.models.push_back(std::move(model));
  }
}

InventoryTaker::Found InventoryTaker::Look(const Store& store) {
  Found found;
  std::set<std::string> ids;
  for (const std::shared_ptr<const ScannedDirectory>& directory : store.scan->directories) {
    std::string id = DirectoryId(directory->path);
    // Only a hub folder inside a folder can spell the same id as one with that folder in its name.
    if (!ids.insert(id).second) {
      Report(directory->path, ErrorReason::kFileInvalid,
             absl::StrCat("directory ", Quote(directory->path),
                          " is not served: another one has its id ", Quote(id)));
      continue;
    }
    const auto number = static_cast<uint32_t>(found.directories.size());
    found.directories.push_back({std::move(id), directory, 0});
    AddGroups(store, number, found);
  }
  return found;
}

void InventoryTaker::Add(Store store) {
  const auto named = [&](const std::string& id) {
    if (store.name.empty()) return id;
    return id.empty() ? store.name : JoinPath(store.name, id);
  };
  for (Problem problem : store.scan->problems) {
    problem.file = named(problem.file);
    result_.problems.push_back(std::move(problem));
  }
  Found found = Look(store);
  for (PrefixAlias& alias : HubAliases(*store.root, *store.scan, found.directories, found.models)) {
    alias.alias = named(alias.alias);
    for (std::string& target : alias.targets) target = named(target);
    result_.aliases.push_back(std::move(alias));
  }
  const auto first_directory = static_cast<uint32_t>(result_.directories.size());
  for (NamedDirectory& directory : found.directories) {
    directory.id = named(directory.id);
    directory.store = result_.stores.size();
    result_.directories.push_back(std::move(directory));
  }
  for (NamedModel& model : found.models) {
    model.id = named(model.id);
    model.directory += first_directory;
    result_.models.push_back(std::move(model));
  }
  result_.stores.push_back(std::move(store));
}

}  // namespace

Inventory TakeInventory(std::vector<Store> stores, const Inventory* previous) {
  InventoryTaker taker(previous);
  for (Store& store : stores) taker.Add(std::move(store));
  return std::move(taker).Take();
}

}  // namespace tensord
