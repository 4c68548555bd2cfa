#include "src/catalog.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/grouping.h"
#include "src/hub_cache.h"
#include "src/hub_names.h"
#include "src/mapping_cache.h"
#include "src/model_builder.h"
#include "src/model_cache.h"
#include "src/name_table.h"
#include "src/parallel_for.h"
#include "src/status_macros.h"
#include "src/store_root.h"
#include "src/store_scan.h"

namespace tensord {
namespace {

// Parsed headers that are kept; DeepSeek-V3's 91,991 tensors take 14 MiB.
constexpr uint64_t kModelMemoryBytes = 48 << 20;

// Small models whose headers are read ahead: a fifth of a second's work. Others at first use.
constexpr size_t kMaxSmallModelsAhead = 10'000;

// Of the descriptors that the process may have, models may keep a quarter: sockets need the rest.
size_t MaxKeptMappings() {
  rlimit limit = {};
  constexpr size_t kFewest = 16;
  constexpr size_t kMost = 16'384;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kFewest;
  return std::clamp<size_t>(limit.rlim_cur / 4, kFewest, kMost);
}

struct Store {
  std::string name;
  std::shared_ptr<const StoreRoot> root;
  std::shared_ptr<const StoreScan> scan;
};

absl::Status CheckNames(const std::vector<StoreOptions>& stores) {
  std::set<std::string> names;
  for (const StoreOptions& store : stores) {
    const bool is_valid = std::all_of(store.name.begin(), store.name.end(), [](unsigned char c) {
      return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
    });
    if (!is_valid) {
      return MakeError(ErrorReason::kBadRequest,
                       absl::StrCat("store name ", Quote(store.name),
                                    " may hold letters, digits, `.`, `_` and `-` only"));
    }
    if (store.name.empty() && stores.size() > 1) {
      return MakeError(ErrorReason::kBadRequest,
                       absl::StrCat("store ", Quote(store.path),
                                    " needs a name, because there are several: NAME=DIR"));
    }
    if (!names.insert(store.name).second) {
      return MakeError(ErrorReason::kBadRequest,
                       absl::StrCat("two stores have the name ", Quote(store.name)));
    }
  }
  return absl::OkStatus();
}

// Collects what a catalog is made of, store by store.
struct Inventory {
  std::vector<Store> stores;
  std::vector<NamedDirectory> directories;
  std::vector<NamedModel> models;
  std::vector<PrefixAlias> aliases;
  std::vector<Problem> problems;
};

// One store's part, its names still without the store's.
struct StoreInventory {
  std::vector<NamedDirectory> directories;
  std::vector<NamedModel> models;
};

void AddGroups(const Store& store, uint32_t directory_number, const ScannedDirectory& directory,
               StoreInventory& found, std::vector<Problem>& problems) {
  const auto read_index = [&](const ScannedFile& file) {
    return ReadModelIndex(*store.root, directory, file);
  };
  for (FileGroup& group : GroupFiles(directory, read_index)) {
    const ScannedFile* only =
        group.index_file || group.files.size() != 1 ? nullptr : &directory.files[group.files[0]];
    if (only != nullptr && !only->details().fault.empty() && !GroupOf(only->name).shard) {
      Problem problem;
      problem.file = Escape(JoinPath(directory.path, only->name));
      problem.reason =
          only->details().is_missing ? ErrorReason::kFileNotFound : ErrorReason::kFileInvalid;
      problem.message =
          absl::StrCat(Quote(JoinPath(directory.path, only->name)), " ", only->details().fault);
      problems.push_back(std::move(problem));
      continue;
    }
    NamedModel model;
    model.id = JoinPath(found.directories[directory_number].id, EncodeId(group.name));
    model.directory = directory_number;
    model.group = std::move(group);
    found.models.push_back(std::move(model));
  }
}

StoreInventory TakeInventory(const Store& store, std::vector<Problem>& problems) {
  StoreInventory found;
  std::set<std::string> ids;
  for (const ScannedDirectory& directory : store.scan->directories) {
    std::string id = DirectoryId(directory.path);
    // Only a hub folder inside a folder can spell the same id as one with that folder in its name.
    if (!ids.insert(id).second) {
      Problem problem;
      problem.file = Escape(directory.path);
      problem.reason = ErrorReason::kFileInvalid;
      problem.message = absl::StrCat("directory ", Quote(directory.path),
                                     " is not served: another one has its id ", Quote(id));
      problems.push_back(std::move(problem));
      continue;
    }
    const auto number = static_cast<uint32_t>(found.directories.size());
    found.directories.push_back({std::move(id), &directory, 0});
    AddGroups(store, number, directory, found, problems);
  }
  return found;
}

void AddStore(Store store, Inventory& inventory) {
  const size_t store_number = inventory.stores.size();
  const auto named = [&](const std::string& id) {
    if (store.name.empty()) return id;
    return id.empty() ? store.name : JoinPath(store.name, id);
  };
  for (Problem problem : store.scan->problems) {
    problem.file = named(problem.file);
    inventory.problems.push_back(std::move(problem));
  }
  StoreInventory found = TakeInventory(store, inventory.problems);
  for (PrefixAlias& alias : HubAliases(*store.root, *store.scan, found.directories, found.models)) {
    alias.alias = named(alias.alias);
    for (std::string& target : alias.targets) target = named(target);
    inventory.aliases.push_back(std::move(alias));
  }
  const auto first_directory = static_cast<uint32_t>(inventory.directories.size());
  for (NamedDirectory& directory : found.directories) {
    directory.id = named(directory.id);
    directory.store = store_number;
    inventory.directories.push_back(std::move(directory));
  }
  for (NamedModel& model : found.models) {
    model.id = named(model.id);
    model.directory += first_directory;
    inventory.models.push_back(std::move(model));
  }
  inventory.stores.push_back(std::move(store));
}

}  // namespace

struct Catalog::State {
  State(Inventory&& found, size_t threads)
      : inventory(std::move(found)),
        num_threads(threads),
        names(inventory.directories, inventory.models, std::move(inventory.aliases)) {}

  ModelSource SourceOf(const NameTarget& target) const;
  std::shared_ptr<const Model> Get(const NameTarget& target) const;
  void LoadAhead();
  void ForgetIndexes();

  Inventory inventory;
  size_t num_threads;
  NameTable names;
  std::shared_ptr<MappingCache> mappings = std::make_shared<MappingCache>(MaxKeptMappings());
  mutable ModelCache cache{kModelMemoryBytes};  // Thread-safe.
};

ModelSource Catalog::State::SourceOf(const NameTarget& target) const {
  const uint32_t number =
      target.model ? inventory.models[*target.model].directory : target.directory;
  const NamedDirectory& directory = inventory.directories[number];
  const Store& store = inventory.stores[directory.store];
  ModelSource source;
  source.root = store.root;
  source.scan = store.scan;
  source.directory = directory.scanned;
  source.id = names.IdOf(target);
  source.mappings = mappings;
  if (target.model) {
    source.group = inventory.models[*target.model].group;
    source.short_name = names.ShortName(*target.model);
  } else {
    source.is_file_alone = true;
    source.group.name = GroupOf(directory.scanned->files[target.file].name).group;
    source.group.files = {target.file};
    source.short_name = source.id;
  }
  return source;
}

std::shared_ptr<const Model> Catalog::State::Get(const NameTarget& target) const {
  constexpr uint64_t kFileAlone = uint64_t{1} << 63;
  const uint64_t key =
      target.model ? *target.model : kFileAlone | uint64_t{target.directory} << 24 | target.file;
  if (std::shared_ptr<const Model> known = cache.Find(key)) return known;
  const ModelSource source = SourceOf(target);
  return cache.Add(key, ModelBuilder(source).Build(num_threads));
}

// Large models first, each with all threads; then the many small ones side by side.
void Catalog::State::LoadAhead() {
  std::vector<uint32_t> small;
  for (uint32_t i = 0; i < inventory.models.size(); ++i) {
    const FileGroup& group = inventory.models[i].group;
    if (!group.index_file && group.files.size() == 1) {
      small.push_back(i);
    } else if (!cache.IsFull()) {
      Get({i});
    }
  }
  ParallelFor(num_threads, std::min(small.size(), kMaxSmallModelsAhead), [&](size_t index) {
    if (!cache.IsFull()) Get({small[index]});
  });
}

// What the indexes said was needed for grouping; a model that is loaded later reads its own again.
void Catalog::State::ForgetIndexes() {
  for (NamedModel& model : inventory.models) model.group.index = nullptr;
}

Catalog::Catalog(std::unique_ptr<State> state) : state_(std::move(state)) {}
Catalog::~Catalog() = default;

absl::StatusOr<std::shared_ptr<const Catalog>> Catalog::Load(
    const std::vector<StoreOptions>& stores, size_t num_threads) {
  TENSORD_RETURN_IF_ERROR(CheckNames(stores));
  Inventory inventory;
  for (const StoreOptions& options : stores) {
    Store store;
    store.name = options.name;
    TENSORD_ASSIGN_OR_RETURN(store.root, StoreRoot::Open(options.path));
    store.scan = std::make_shared<const StoreScan>(ScanStore(*store.root));
    AddStore(std::move(store), inventory);
  }
  std::sort(inventory.models.begin(), inventory.models.end(),
            [](const NamedModel& a, const NamedModel& b) { return a.id < b.id; });
  auto state = std::make_unique<State>(std::move(inventory), std::max<size_t>(num_threads, 1));
  state->LoadAhead();
  state->ForgetIndexes();
  return std::shared_ptr<const Catalog>(new Catalog(std::move(state)));
}

size_t Catalog::num_models() const { return state_->inventory.models.size(); }

std::shared_ptr<const Model> Catalog::model(size_t index) const {
  return state_->Get({static_cast<uint32_t>(index)});
}

absl::string_view Catalog::model_id(size_t index) const {
  return state_->inventory.models[index].id;
}

absl::StatusOr<std::shared_ptr<const Model>> Catalog::Find(absl::string_view name) const {
  TENSORD_ASSIGN_OR_RETURN(const NameTarget target, state_->names.Find(name));
  return state_->Get(target);
}

const std::vector<Problem>& Catalog::problems() const { return state_->inventory.problems; }

}  // namespace tensord
