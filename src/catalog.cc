#include "src/catalog.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "src/inventory.h"
#include "src/mapping_cache.h"
#include "src/model_builder.h"
#include "src/model_cache.h"
#include "src/name_table.h"
#include "src/parallel_for.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// Small models whose headers are read ahead: a fifth of a second's work. Others at first use.
constexpr size_t kMaxSmallModelsAhead = 10'000;

// Reloads that a vanished file may spoil before the last one is taken as it is.
constexpr int kMaxReloads = 3;

size_t MaxOpenFiles(size_t wanted) {
  if (wanted != 0) return std::min(wanted, kMaxOpenFiles);
  rlimit limit = {};
  return DefaultMaxOpenFiles(getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0);
}

// Whether a group is made of the same files as before.
bool HasSameFiles(const ScannedDirectory& a, const FileGroup& a_group, const ScannedDirectory& b,
                  const FileGroup& b_group) {
  if (a_group.index_file.has_value() != b_group.index_file.has_value()) return false;
  const auto same_file = [&](uint32_t x, uint32_t y) { return a.files[x] == b.files[y]; };
  const auto same_files = [&](const std::vector<uint32_t>& x, const std::vector<uint32_t>& y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), same_file);
  };
  // With an index any file of the directory may be a shard.
  if (a_group.index_file) return a == b;
  return same_files(a_group.files, b_group.files) && same_files(a_group.strays, b_group.strays);
}

// All its files lie in its directory, so that the directory's scan tells all of it.
bool LiesInOneDirectory(const Model& model) {
  return std::none_of(model.files().begin(), model.files().end(),
                      [](const ModelFile& file) { return absl::StrContains(file.name, '/'); });
}

}  // namespace

size_t DefaultMaxOpenFiles(uint64_t num_descriptors) {
  constexpr uint64_t kFewest = 16;
  return std::clamp<uint64_t>(num_descriptors / 4, kFewest, kMaxOpenFiles / 2);
}

// What catalogs of the same stores share.
struct CatalogBase {
  std::vector<StoreOptions> stores;
  CatalogOptions options;
  MappingCache mappings;
  std::atomic<uint64_t> num_headers_read = 0;

  CatalogBase(std::vector<StoreOptions> all, const CatalogOptions& given)
      : stores(std::move(all)), options(given), mappings(MaxOpenFiles(given.max_open_files)) {}
};

struct Catalog::State {
  State(std::shared_ptr<CatalogBase> shared, Inventory&& found)
      : base(std::move(shared)),
        inventory(std::move(found)),
        names(inventory.directories, inventory.models, std::move(inventory.aliases)),
        cache(base->options.index_memory_bytes) {}

  static uint64_t KeyOf(const NameTarget& target);
  const NamedDirectory& DirectoryOf(const NameTarget& target) const;
  ModelSource SourceOf(const NameTarget& target) const;
  FilePlace PlaceOf(const NameTarget& target) const;
  std::shared_ptr<const Model> Get(const NameTarget& target) const;
  std::optional<NameTarget> FindExact(const std::string& id) const;
  void LoadAhead(const std::vector<uint32_t>& wanted, size_t num_threads);
  void TakeOver(const std::shared_ptr<const Model>& former);
  std::vector<uint32_t> Compare(const State& previous);
  bool IsOutdated() const;
  void ForgetIndexes();

  const std::shared_ptr<CatalogBase> base;
  Inventory inventory;
  const NameTable names;
  mutable ModelCache cache;  // Thread-safe.
  CatalogChanges changes;
};

uint64_t Catalog::State::KeyOf(const NameTarget& target) {
  constexpr uint64_t kFileAlone = uint64_t{1} << 63;
  if (target.model) return *target.model;
  return kFileAlone | uint64_t{target.directory} << 32 | target.file;
}

const NamedDirectory& Catalog::State::DirectoryOf(const NameTarget& target) const {
  return inventory
      .directories[target.model ? inventory.models[*target.model].directory : target.directory];
}

ModelSource Catalog::State::SourceOf(const NameTarget& target) const {
  const NamedDirectory& directory = DirectoryOf(target);
  const Store& store = inventory.stores[directory.store];
  ModelSource source;
  source.root = store.root;
  source.scan = store.scan;
  source.directory = directory.scanned;
  source.id = names.IdOf(target);
  source.mappings = std::shared_ptr<MappingCache>(base, &base->mappings);
  source.num_headers_read = &base->num_headers_read;
  source.read_mode = base->options.read_mode;
  source.max_index_bytes = base->options.index_memory_bytes;
  source.closer = base->options.closer;
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

// Of the first file that Get reads.
FilePlace Catalog::State::PlaceOf(const NameTarget& target) const {
  const ScannedDirectory& directory = *DirectoryOf(target).scanned;
  if (!target.model) return tensord::PlaceOf(directory.files[target.file].identity);
  const FileGroup& group = inventory.models[*target.model].group;
  const uint32_t first = group.index_file ? *group.index_file : group.files.front();
  return tensord::PlaceOf(directory.files[first].identity);
}

std::shared_ptr<const Model> Catalog::State::Get(const NameTarget& target) const {
  const uint64_t key = KeyOf(target);
  if (std::shared_ptr<const Model> known = cache.Find(key)) return known;
  const ModelSource source = SourceOf(target);
  return cache.Add(key, ModelBuilder(source).Build(base->options.num_threads));
}

// Large models first, each with all threads; then the many small ones side by side.
void Catalog::State::LoadAhead(const std::vector<uint32_t>& wanted, size_t num_threads) {
  std::vector<uint32_t> small;
  for (const uint32_t i : wanted) {
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

std::optional<NameTarget> Catalog::State::FindExact(const std::string& id) const {
  if (const std::optional<uint32_t> model = names.FindModel(id)) return NameTarget{model};
  return names.FindFile(id);
}

// The model of the same id, with what the former one knows.
void Catalog::State::TakeOver(const std::shared_ptr<const Model>& former) {
  const std::optional<NameTarget> target = FindExact(former->id());
  if (!target || cache.Find(KeyOf(*target)) != nullptr) return;
  ModelSource source = SourceOf(*target);
  // The same directory's object, so the same root too.
  const bool is_same = source.directory == former->directory() &&
                       source.short_name == former->short_name() && former->is_settled() &&
                       !former->deserves_retry() && LiesInOneDirectory(*former);
  if (is_same) {
    cache.Add(KeyOf(*target), former);
    return;
  }
  source.former = former;
  cache.Add(KeyOf(*target), ModelBuilder(source).Build(/*num_threads=*/1));
}

// Counts the changes and returns the models that are new or not as they were.
std::vector<uint32_t> Catalog::State::Compare(const State& previous) {
  std::vector<uint32_t> fresh;
  const std::vector<NamedModel>& before = previous.inventory.models;
  size_t old = 0;
  for (uint32_t i = 0; i < inventory.models.size(); ++i) {
    const NamedModel& model = inventory.models[i];
    for (; old < before.size() && before[old].id < model.id; ++old) ++changes.num_removed;
    if (old == before.size() || before[old].id != model.id) {
      ++changes.num_added;
      fresh.push_back(i);
      continue;
    }
    const NamedModel& same = before[old++];
    const auto& directory = inventory.directories[model.directory].scanned;
    const auto& old_directory = previous.inventory.directories[same.directory].scanned;
    if (directory == old_directory ||
        HasSameFiles(*directory, model.group, *old_directory, same.group)) {
      continue;
    }
    ++changes.num_changed;
    fresh.push_back(i);
  }
  changes.num_removed += before.size() - old;
  return fresh;
}

bool Catalog::State::IsOutdated() const {
  const std::vector<std::shared_ptr<const Model>> models = cache.Kept();
  return std::any_of(models.begin(), models.end(),
                     [](const auto& model) { return model->is_outdated(); });
}

// What the indexes said was needed for grouping; a model that is loaded later reads its own again.
void Catalog::State::ForgetIndexes() {
  for (NamedModel& model : inventory.models) model.group.index = nullptr;
}

Catalog::Catalog(std::unique_ptr<State> state) : state_(std::move(state)) {}
Catalog::~Catalog() = default;

absl::StatusOr<std::shared_ptr<const Catalog>> Catalog::Load(
    const std::vector<StoreOptions>& stores, size_t num_threads) {
  CatalogOptions options;
  options.num_threads = num_threads;
  return Load(stores, options, [](const std::string&) {});
}

absl::StatusOr<std::shared_ptr<const Catalog>> Catalog::Load(
    const std::vector<StoreOptions>& stores, const CatalogOptions& options, WatchDirectory watch) {
  TENSORD_RETURN_IF_ERROR(CheckStoreNames(stores));
  auto base = std::make_shared<CatalogBase>(stores, options);
  base->options.num_threads = std::max<size_t>(options.num_threads, 1);
  TENSORD_ASSIGN_OR_RETURN(std::vector<Store> found, ScanStores(stores, watch));
  auto state = std::make_unique<State>(base, TakeInventory(std::move(found), nullptr));
  std::vector<uint32_t> all(state->inventory.models.size());
  for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  state->LoadAhead(all, base->options.num_threads);
  state->ForgetIndexes();
  return std::shared_ptr<const Catalog>(new Catalog(std::move(state)));
}

Catalog::Reloaded Catalog::Reload(const std::shared_ptr<const Catalog>& previous,
                                  WatchDirectory watch) {
  const State& before = *previous->state_;
  const std::vector<std::shared_ptr<const Model>> known = before.cache.Kept();
  const bool is_settled = std::all_of(known.begin(), known.end(), [](const auto& model) {
    return model->is_settled() && !model->deserves_retry();
  });
  for (int reloads = 1;; ++reloads) {
    absl::Status status;
    std::vector<Store> stores =
        RescanStores(before.base->stores, before.inventory.stores, watch, status);
    if (is_settled && AreSame(stores, before.inventory.stores)) return {previous, status};
    auto state =
        std::make_unique<State>(before.base, TakeInventory(std::move(stores), &before.inventory));
    const std::vector<uint32_t> fresh = state->Compare(before);
    for (const std::shared_ptr<const Model>& model : known) state->TakeOver(model);
    state->LoadAhead(fresh, /*num_threads=*/1);
    state->ForgetIndexes();
    if (state->IsOutdated() && reloads < kMaxReloads) continue;
    return {std::shared_ptr<const Catalog>(new Catalog(std::move(state))), status};
  }
}

size_t Catalog::num_models() const { return state_->inventory.models.size(); }

std::shared_ptr<const Model> Catalog::model(size_t index) const {
  return state_->Get({static_cast<uint32_t>(index)});
}

absl::string_view Catalog::model_id(size_t index) const {
  return state_->inventory.models[index].id;
}

bool Catalog::HasModel(absl::string_view id) const {
  return state_->names.FindModel(id).has_value();
}

absl::StatusOr<std::shared_ptr<const Model>> Catalog::Find(absl::string_view name) const {
  return Find(name, [](absl::string_view) { return true; });
}

absl::StatusOr<std::shared_ptr<const Model>> Catalog::Find(
    absl::string_view name, absl::FunctionRef<bool(absl::string_view)> is_shown) const {
  TENSORD_ASSIGN_OR_RETURN(const NameTarget target, state_->names.Find(name, is_shown));
  return state_->Get(target);
}

absl::StatusOr<Catalog::Known> Catalog::FindKnown(
    absl::string_view name, absl::FunctionRef<bool(absl::string_view)> is_shown) const {
  TENSORD_ASSIGN_OR_RETURN(const NameTarget target, state_->names.Find(name, is_shown));
  return Known{state_->cache.Find(State::KeyOf(target)), state_->PlaceOf(target)};
}

bool Catalog::KnowsAllModels() const { return state_->cache.HasAll(num_models()); }

const std::vector<Problem>& Catalog::problems() const { return state_->inventory.problems; }

std::vector<std::shared_ptr<const Model>> Catalog::LoadedModels() const {
  return state_->cache.Kept();
}

bool Catalog::NeedsAnotherLook() const {
  const std::vector<Store>& stores = state_->inventory.stores;
  if (std::any_of(stores.begin(), stores.end(),
                  [](const Store& s) { return s.scan->is_partial; })) {
    return true;
  }
  const std::vector<std::shared_ptr<const Model>> models = state_->cache.Kept();
  return std::any_of(models.begin(), models.end(),
                     [](const auto& model) { return !model->is_settled(); });
}

const CatalogChanges& Catalog::changes() const { return state_->changes; }

uint64_t Catalog::num_headers_read() const { return state_->base->num_headers_read; }

size_t Catalog::num_open_files() const { return state_->base->mappings.size(); }

uint64_t Catalog::mapped_bytes() const { return state_->base->mappings.size_bytes(); }

}  // namespace tensord
