#include "src/hub_names.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/hub_cache.h"

namespace tensord {
namespace {

struct Snapshot {
  std::string id;                // "ORG/NAME@COMMIT".
  std::set<std::string> groups;  // Complete ones, as paths below the snapshot.
  bool is_complete = true;       // No group lacks a file.
  int64_t mtime_ns = 0;          // Of its directory.
};

struct Repository {
  std::string path;                           // Of its folder in the store.
  std::string id;                             // "ORG/NAME".
  std::map<std::string, Snapshot> snapshots;  // By commit; those with models.
  const HubRepository* beside = nullptr;      // In the scan.
};

bool IsServable(const ScannedDirectory* directory, absl::string_view name) {
  const ScannedFile* file = directory == nullptr ? nullptr : directory->Find(name);
  return file != nullptr && file->details().fault.empty();
}

bool HasAllIndexed(const StoreScan& scan, const ScannedDirectory& directory,
                   const ModelIndex& index) {
  return std::all_of(index.files().begin(), index.files().end(), [&](const std::string& value) {
    const absl::StatusOr<std::string> path = ResolveIndexFile(directory.path, value);
    if (!path.ok()) return false;
    const size_t slash = path->rfind('/');
    const bool at_root = slash == std::string::npos;
    return IsServable(scan.Find(at_root ? "" : path->substr(0, slash)),
                      at_root ? *path : path->substr(slash + 1));
  });
}

bool HasAllShards(const ScannedDirectory& directory, const FileGroup& group) {
  std::map<uint64_t, std::set<uint64_t>> numbers;  // By count.
  for (const uint32_t file : group.files) {
    if (!directory.files[file].details().fault.empty()) return false;
    const std::optional<ShardNumber> shard = GroupOf(directory.files[file].name).shard;
    if (shard) numbers[shard->count].insert(shard->number);
  }
  return std::all_of(numbers.begin(), numbers.end(),
                     [](const auto& entry) { return entry.second.size() >= entry.first; });
}

bool HasFaultyTensorFile(const ScannedDirectory& directory) {
  return std::any_of(directory.files.begin(), directory.files.end(), [](const ScannedFile& file) {
    return KindOf(file.name) != FileKind::kSide && !file.details().fault.empty();
  });
}

std::map<std::string, Repository> FindRepositories(const StoreRoot& root, const StoreScan& scan,
                                                   const std::vector<NamedDirectory>& directories,
                                                   const std::vector<NamedModel>& models) {
  std::map<std::string, Repository> repositories;
  const auto snapshot_of = [&](const ScannedDirectory& directory,
                               const HubPath& path) -> Snapshot& {
    Repository& repository = repositories[std::string(path.repository)];
    repository.path = std::string(path.repository);
    repository.id = HubRepositoryId(path);
    Snapshot& snapshot = repository.snapshots[std::string(path.commit)];
    snapshot.id = absl::StrCat(repository.id, "@", EncodeId(path.commit));
    if (path.rest.empty() || snapshot.mtime_ns == 0) {
      snapshot.mtime_ns = root.DirectoryMtimeNs(directory.real_path).value_or(0);
    }
    return snapshot;
  };
  for (const NamedDirectory& directory : directories) {
    const std::optional<HubPath> path = ParseHubPath(directory.scanned->path);
    if (!path) continue;
    Snapshot& snapshot = snapshot_of(*directory.scanned, *path);
    if (HasFaultyTensorFile(*directory.scanned)) snapshot.is_complete = false;
  }
  for (const NamedModel& model : models) {
    const ScannedDirectory& directory = *directories[model.directory].scanned;
    const std::optional<HubPath> path = ParseHubPath(directory.path);
    if (!path) continue;
    Snapshot& snapshot = snapshot_of(directory, *path);
    if (IsGroupComplete(scan, directory, model.group)) {
      snapshot.groups.insert(JoinPath(path->rest, model.group.name));
    } else {
      snapshot.is_complete = false;
    }
  }
  for (const HubRepository& beside : scan.repositories) {
    const auto repository = repositories.find(beside.path);
    if (repository != repositories.end()) repository->second.beside = &beside;
  }
  return repositories;
}

// Of all but `except`; null when there is none.
const Snapshot* NewestComplete(const Repository& repository, const Snapshot* except) {
  const Snapshot* newest = nullptr;
  for (const auto& [commit, snapshot] : repository.snapshots) {
    if (&snapshot == except || !snapshot.is_complete || snapshot.groups.empty()) continue;
    if (newest == nullptr || snapshot.mtime_ns > newest->mtime_ns) newest = &snapshot;
  }
  return newest;
}

// Files come one by one: while something is being downloaded, a snapshot that lacks what an older
// one has may still get it.
bool IsDownloaded(const Repository& repository, const Snapshot& snapshot) {
  if (!snapshot.is_complete || snapshot.groups.empty()) return false;
  const bool lacks_some =
      std::any_of(repository.snapshots.begin(), repository.snapshots.end(), [&](const auto& entry) {
        return entry.second.is_complete &&
               !std::includes(snapshot.groups.begin(), snapshot.groups.end(),
                              entry.second.groups.begin(), entry.second.groups.end());
      });
  return !lacks_some || !repository.beside->has_incomplete_blobs;
}

// What refs/main = `commit` stands for; null when nothing of the repository can be meant.
const Snapshot* MainSnapshot(const Repository& repository, const std::string& commit) {
  const auto named = repository.snapshots.find(commit);
  const Snapshot* wanted = named == repository.snapshots.end() ? nullptr : &named->second;
  if (wanted != nullptr && IsDownloaded(repository, *wanted)) return wanted;
  const Snapshot* fallback = NewestComplete(repository, wanted);
  return fallback == nullptr ? wanted : fallback;
}

std::string RefId(const Repository& repository, absl::string_view ref) {
  return absl::StrCat(repository.id, "@", absl::StrReplaceAll(EncodeId(ref), {{"/", "%2F"}}));
}

void AddAliases(const Repository& repository, std::vector<PrefixAlias>& aliases) {
  bool has_main = false;
  for (const HubRef& ref : repository.beside->refs) {
    const bool is_main = ref.name == "main";
    const auto named = repository.snapshots.find(ref.commit);
    const Snapshot* snapshot = is_main ? MainSnapshot(repository, ref.commit)
                               : named == repository.snapshots.end() ? nullptr
                                                                     : &named->second;
    if (snapshot == nullptr) continue;
    has_main |= is_main;
    aliases.push_back({RefId(repository, ref.name), {snapshot->id}});
    if (is_main) aliases.push_back({repository.id, {snapshot->id}});
  }
  if (has_main) return;
  PrefixAlias bare{repository.id, {}};
  for (const auto& [commit, snapshot] : repository.snapshots) bare.targets.push_back(snapshot.id);
  aliases.push_back(std::move(bare));
}

}  // namespace

bool IsGroupComplete(const StoreScan& scan, const ScannedDirectory& directory,
                     const FileGroup& group) {
  if (group.index != nullptr) {
    return group.index->ok() && HasAllIndexed(scan, directory, **group.index);
  }
  return HasAllShards(directory, group);
}

std::vector<PrefixAlias> HubAliases(const StoreRoot& root, const StoreScan& scan,
                                    const std::vector<NamedDirectory>& directories,
                                    const std::vector<NamedModel>& models) {
  std::vector<PrefixAlias> aliases;
  for (const auto& [path, repository] : FindRepositories(root, scan, directories, models)) {
    AddAliases(repository, aliases);
  }
  return aliases;
}

}  // namespace tensord
