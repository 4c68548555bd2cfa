#include "client/tensorctl/checkpoint_check.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/grouping.h"
#include "src/model_index.h"
#include "src/safetensors_file.h"
#include "src/status_macros.h"
#include "src/store_scan.h"

namespace tensord::ctl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxShown = 10;  // Of names in one message.

absl::Status Invalid(absl::string_view message) {
  return MakeError(ErrorReason::kFileInvalid, message);
}

absl::StatusOr<ModelIndex> ReadIndex(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return MakeError(ErrorReason::kFileNotFound, "no such file");
  if (!fs::is_regular_file(path, error)) return Invalid("is no regular file");
  const uintmax_t size = fs::file_size(path, error);
  if (!error && size > kMaxIndexBytes) {
    return Invalid(absl::StrCat("has ", size, " bytes, more than the limit of ", kMaxIndexBytes));
  }
  std::ifstream file(path, std::ios::binary);
  const std::string json((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return MakeError(ErrorReason::kReadError, "cannot be read");
  return ModelIndex::Parse(json);
}

std::string DirectoryOf(absl::string_view path) {
  return fs::path(std::string(path)).parent_path().string();
}
std::string NameOf(absl::string_view path) {
  return fs::path(std::string(path)).filename().string();
}

// Where the value of a weight_map leads, for an index in `directory`.
absl::StatusOr<std::string> PathOf(const std::string& directory, const std::string& value) {
  TENSORD_ASSIGN_OR_RETURN(const std::string relative, ResolveIndexFile("", value));
  return (fs::path(directory) / relative).string();
}

absl::Status Missing(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kMaxShown);
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<ptrdiff_t>(shown));
  return MakeError(
      ErrorReason::kShardMissing,
      absl::StrCat(names.size(), names.size() == 1 ? " file is" : " files are", " missing: ",
                   absl::StrJoin(first, ", ",
                                 [](std::string* out, const std::string& name) {
                                   absl::StrAppend(out, Quote(name));
                                 }),
                   names.size() > shown ? ", ..." : ""));
}

// The headers of the files that the index names, in its order.
absl::StatusOr<std::vector<std::shared_ptr<const SafetensorsHeader>>> ReadHeaders(
    const ModelIndex& index, const std::string& directory) {
  std::vector<std::shared_ptr<const SafetensorsHeader>> headers;
  std::vector<std::string> missing;
  absl::Status broken;  // The first of them.
  for (const std::string& name : index.files()) {
    TENSORD_ASSIGN_OR_RETURN(const std::string path, PathOf(directory, name));
    const absl::StatusOr<SafetensorsFile> file = OpenSafetensorsFile(path);
    if (file.ok()) {
      headers.push_back(file->header);
    } else if (absl::IsNotFound(file.status())) {
      missing.push_back(name);
    } else if (broken.ok()) {
      broken = Invalid(absl::StrCat("file ", Quote(name), ": ", file.status().message()));
    }
  }
  if (!missing.empty()) return Missing(missing);
  if (!broken.ok()) return broken;
  return headers;
}

using Claims = std::set<std::pair<std::string, std::string>>;  // Directory and group.

// An index decides about the shards of its own name, and of those of the files that it names.
void AddClaims(const std::string& index_path, Claims& claims) {
  const std::string directory = DirectoryOf(index_path);
  claims.emplace(directory, GroupOf(NameOf(index_path)).group);
  const absl::StatusOr<ModelIndex> index = ReadIndex(index_path);
  if (!index.ok()) return;
  for (const std::string& name : index->files()) {
    const absl::StatusOr<std::string> path = PathOf(directory, name);
    if (path.ok()) claims.emplace(DirectoryOf(*path), GroupOf(NameOf(*path)).group);
  }
}

}  // namespace

bool IsIndexPath(absl::string_view path) { return KindOf(NameOf(path)) == FileKind::kIndex; }

absl::StatusOr<uint64_t> CheckIndex(const std::string& path) {
  TENSORD_ASSIGN_OR_RETURN(const ModelIndex index, ReadIndex(path));
  TENSORD_ASSIGN_OR_RETURN(const auto headers, ReadHeaders(index, DirectoryOf(path)));
  for (size_t i = 0; i < index.num_tensors(); ++i) {
    const ModelIndex::Entry entry = index.entry(i);
    if (headers[entry.file]->Find(entry.tensor)) continue;
    return Invalid(absl::StrCat("file ", Quote(index.files()[entry.file]), " lacks tensor ",
                                Quote(entry.tensor), ", which the index places in it"));
  }
  return index.num_tensors();
}

std::vector<IncompleteCheckpoint> FindIncomplete(absl::Span<const std::string> files,
                                                 absl::Span<const std::string> indices) {
  Claims claims;
  for (const std::string& index : indices) AddClaims(index, claims);
  std::map<std::pair<std::string, std::string>, std::vector<ShardNumber>> sets;
  for (const std::string& file : files) {
    const GroupedName name = GroupOf(NameOf(file));
    if (name.shard) sets[{DirectoryOf(file), name.group}].push_back(*name.shard);
  }
  std::vector<IncompleteCheckpoint> incomplete;
  for (const auto& [where, shards] : sets) {
    if (claims.contains(where)) continue;
    for (const std::string& missing : MissingShards(where.second, shards)) {
      incomplete.push_back({(fs::path(where.first) / where.second).string(),
                            MakeError(ErrorReason::kShardMissing, missing)});
    }
  }
  return incomplete;
}

}  // namespace tensord::ctl
