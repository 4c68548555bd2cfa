#include "src/name_table.h"

#include <algorithm>
#include <array>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "src/closest_names.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/hub_cache.h"

namespace tensord {
namespace {

// What a directory's own name stands for, the first that exists.
constexpr std::array<absl::string_view, 4> kDefaultGroups = {
    "model", "diffusion_pytorch_model", "adapter_model", "pytorch_lora_weights"};

// More in a message helps nobody.
constexpr size_t kMaxCandidatesShown = 8;

std::string DecodeId(absl::string_view id) {
  return absl::StrReplaceAll(id, {{"%40", "@"}, {"%25", "%"}});
}

// What a name may mean, each target once: a directory of 50,000 adapters means all of them.
class TargetSet {
 public:
  void Add(const NameTarget& target) {
    const uint64_t key =
        target.model ? *target.model : kFile | uint64_t{target.directory} << 32 | target.file;
    if (seen_.insert(key).second) targets_.push_back(target);
  }
  std::vector<NameTarget> Take() && { return std::move(targets_); }

 private:
  static constexpr uint64_t kFile = uint64_t{1} << 63;  // Directories are far fewer than 2^31.

  absl::flat_hash_set<uint64_t> seen_;
  std::vector<NameTarget> targets_;
};

// The ids that errors may name, in their order.
template <typename Named>
std::vector<absl::string_view> ShownIds(const std::vector<Named>& all,
                                        NameTable::IsShown is_shown) {
  std::vector<absl::string_view> ids;
  for (const Named& named : all) {
    if (is_shown(named.id)) ids.push_back(named.id);
  }
  return ids;
}

// Calls `visit(prefix, rest)` for each beginning of `name` that ends at a slash or at its end; rest
// is "" or begins with the slash.
template <typename Visit>
void ForEachPrefix(absl::string_view name, Visit visit) {
  for (size_t slash = name.find('/'); slash != absl::string_view::npos;
       slash = name.find('/', slash + 1)) {
    visit(name.substr(0, slash), name.substr(slash));
  }
  visit(name, absl::string_view());
}

}  // namespace

NameTable::NameTable(const std::vector<NamedDirectory>& directories,
                     const std::vector<NamedModel>& models, std::vector<PrefixAlias> aliases)
    : directories_(directories), models_(models) {
  for (uint32_t i = 0; i < directories.size(); ++i) directory_by_id_[directories[i].id] = i;
  first_.assign(directories.size() + 1, 0);
  for (const NamedModel& model : models) ++first_[model.directory + 1];
  for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
  by_directory_.resize(models.size());
  std::vector<uint32_t> next(first_.begin(), first_.end());
  for (uint32_t i = 0; i < models.size(); ++i) by_directory_[next[models[i].directory]++] = i;
  for (PrefixAlias& alias : aliases) {
    for (const std::string& target : alias.targets) aliases_[target].push_back(alias.alias);
    targets_[alias.alias] = std::move(alias.targets);
  }
}

absl::Span<const uint32_t> NameTable::ModelsIn(uint32_t directory) const {
  return absl::MakeConstSpan(by_directory_)
      .subspan(first_[directory], first_[directory + 1] - first_[directory]);
}

std::optional<uint32_t> NameTable::FindModel(absl::string_view id) const {
  const auto it =
      std::lower_bound(models_.begin(), models_.end(), id,
                       [](const NamedModel& model, absl::string_view i) { return model.id < i; });
  if (it == models_.end() || it->id != id) return std::nullopt;
  return static_cast<uint32_t>(it - models_.begin());
}

// The model that the directory's id stands for; all of its models where none stands out.
std::vector<NameTarget> NameTable::ModelsOfDirectory(absl::string_view id, size_t enough) const {
  const auto directory = directory_by_id_.find(id);
  if (directory == directory_by_id_.end() || id.empty()) return {};
  const absl::Span<const uint32_t> models = ModelsIn(directory->second);
  for (const absl::string_view group : kDefaultGroups) {
    const std::optional<uint32_t> model = FindModel(JoinPath(id, group));
    if (model && models_[*model].directory == directory->second) return {{model}};
  }
  std::vector<NameTarget> targets;
  for (const uint32_t model : models.subspan(0, enough)) targets.push_back({model});
  return targets;
}

std::optional<NameTarget> NameTable::FindFile(absl::string_view path) const {
  const size_t slash = path.rfind('/');
  const bool at_root = slash == absl::string_view::npos;
  const auto directory = directory_by_id_.find(at_root ? "" : path.substr(0, slash));
  if (directory == directory_by_id_.end()) return std::nullopt;
  const absl::string_view encoded = at_root ? path : path.substr(slash + 1);
  const std::string name = DecodeId(encoded);
  if (EncodeId(name) != encoded || KindOf(name) != FileKind::kTensors) return std::nullopt;
  const ScannedDirectory& scanned = *directories_[directory->second].scanned;
  const ScannedFile* file = scanned.Find(name);
  if (file == nullptr) return std::nullopt;
  const auto number = static_cast<uint32_t>(file - scanned.files.data());
  // The only file of a group is that group: one canonical id for both names.
  const GroupedName grouped = GroupOf(name);
  const std::optional<uint32_t> model =
      FindModel(JoinPath(directories_[directory->second].id, EncodeId(grouped.group)));
  if (model && !grouped.shard) {
    const FileGroup& group = models_[*model].group;
    if (!group.index_file && group.files == std::vector<uint32_t>{number}) return NameTarget{model};
  }
  return NameTarget{std::nullopt, directory->second, number};
}

std::vector<NameTarget> NameTable::Meanings(absl::string_view name, size_t enough) const {
  if (const std::optional<uint32_t> model = FindModel(name)) return {{model}};
  TargetSet meanings;
  const auto add = [&](absl::string_view spelling, bool is_alias) {
    if (is_alias) {
      if (const std::optional<uint32_t> model = FindModel(spelling)) return meanings.Add({model});
    }
    for (const NameTarget& target : ModelsOfDirectory(spelling, enough)) meanings.Add(target);
    if (const std::optional<NameTarget> file = FindFile(spelling)) meanings.Add(*file);
  };
  add(name, /*is_alias=*/false);
  ForEachPrefix(name, [&](absl::string_view prefix, absl::string_view rest) {
    const auto alias = targets_.find(prefix);
    if (alias == targets_.end()) return;
    for (const std::string& target : alias->second) {
      add(absl::StrCat(target, rest), /*is_alias=*/true);
    }
  });
  return std::move(meanings).Take();
}

absl::StatusOr<NameTarget> NameTable::Find(absl::string_view name, IsShown is_shown) const {
  const std::vector<NameTarget> meanings = Meanings(name, models_.size());
  if (meanings.size() == 1) return meanings[0];
  if (meanings.empty()) return NotFound(name, is_shown);
  return Ambiguous(name, meanings, is_shown);
}

absl::Status NameTable::NotFound(absl::string_view name, IsShown is_shown) const {
  std::vector<absl::string_view> ids = ShownIds(models_, is_shown);
  if (ids.empty()) {
    return MakeError(ErrorReason::kModelNotFound,
                     absl::StrCat("model ", Quote(name), " not found: the store has no models"));
  }
  const auto id_at = [&ids](size_t index) { return ids[index]; };
  auto closest = ClosestNames(name, ids.size(), id_at);
  if (closest.empty()) {
    ids = ShownIds(directories_, is_shown);
    closest = ClosestNames(name, ids.size(), id_at);
  }
  return MakeError(ErrorReason::kModelNotFound,
                   absl::StrCat("model ", Quote(name), " not found", ShowClosest(closest)));
}

absl::Status NameTable::Ambiguous(absl::string_view name, const std::vector<NameTarget>& meanings,
                                  IsShown is_shown) const {
  std::vector<std::string> ids;
  for (const NameTarget& target : meanings) {
    ids.push_back(IdOf(target));
    if (!is_shown(ids.back())) ids.pop_back();
  }
  std::sort(ids.begin(), ids.end());
  const size_t num_more = ids.size() - std::min(ids.size(), kMaxCandidatesShown);
  ids.resize(ids.size() - num_more);
  const auto quoted = [](std::string* out, const std::string& id) {
    absl::StrAppend(out, Quote(id));
  };
  return MakeError(ErrorReason::kAmbiguousModel,
                   absl::StrCat("model ", Quote(name), " may be ", absl::StrJoin(ids, ", ", quoted),
                                num_more > 0 ? absl::StrCat(" or ", num_more, " more") : ""),
                   {{"candidates", absl::StrJoin(ids, ",", quoted)}});
}

std::string NameTable::IdOf(const NameTarget& target) const {
  if (target.model) return models_[*target.model].id;
  const NamedDirectory& directory = directories_[target.directory];
  return JoinPath(directory.id, EncodeId(directory.scanned->files[target.file].name));
}

// The directory's id and what aliases make of it.
std::vector<std::string> NameTable::SpellingsOf(absl::string_view directory_id) const {
  std::vector<std::string> spellings = {std::string(directory_id)};
  ForEachPrefix(directory_id, [&](absl::string_view prefix, absl::string_view rest) {
    const auto aliases = aliases_.find(prefix);
    if (aliases == aliases_.end()) return;
    for (const std::string& alias : aliases->second) spellings.push_back(absl::StrCat(alias, rest));
  });
  return spellings;
}

std::string NameTable::ShortName(uint32_t index) const {
  const NamedModel& model = models_[index];
  std::vector<std::string> names;
  for (const std::string& spelling : SpellingsOf(directories_[model.directory].id)) {
    names.push_back(JoinPath(spelling, EncodeId(model.group.name)));
    if (!spelling.empty()) names.push_back(spelling);
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  for (const std::string& name : names) {
    const std::vector<NameTarget> meanings = Meanings(name, /*enough=*/2);
    if (meanings.size() == 1 && meanings[0].model == index) return name;
  }
  return model.id;
}

}  // namespace tensord
