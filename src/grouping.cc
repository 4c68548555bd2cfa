#include "src/grouping.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "src/escape.h"

namespace tensord {
namespace {

constexpr absl::string_view kTensorsSuffix = ".safetensors";
constexpr absl::string_view kIndexInfix = ".safetensors.index";
constexpr absl::string_view kOf = "-of-";
constexpr size_t kMaxDigits = 18;  // Fits 64 bits.

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

size_t CountDigits(absl::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && IsDigit(text[digits])) ++digits;
  return digits;
}

size_t CountTrailingDigits(absl::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && IsDigit(text[text.size() - 1 - digits])) ++digits;
  return digits;
}

bool IsDigitCount(size_t digits) { return digits > 0 && digits <= kMaxDigits; }

// "X-00001-of-00002" or "X-00001-of-00002.fp16"; nullopt for any other stem.
std::optional<GroupedName> ParseShard(absl::string_view stem) {
  const size_t of = stem.rfind(kOf);
  if (of == absl::string_view::npos) return std::nullopt;
  const absl::string_view before = stem.substr(0, of);
  const absl::string_view after = stem.substr(of + kOf.size());
  const size_t number_digits = CountTrailingDigits(before);
  const size_t count_digits = CountDigits(after);
  if (!IsDigitCount(number_digits) || !IsDigitCount(count_digits)) return std::nullopt;
  absl::string_view name = before.substr(0, before.size() - number_digits);
  const absl::string_view variant = after.substr(count_digits);
  if (!absl::ConsumeSuffix(&name, "-") || name.empty()) return std::nullopt;
  if (!variant.empty() && (variant[0] != '.' || variant.size() == 1)) return std::nullopt;
  ShardNumber shard;
  const bool is_number =
      absl::SimpleAtoi(before.substr(before.size() - number_digits), &shard.number) &&
      absl::SimpleAtoi(after.substr(0, count_digits), &shard.count);
  if (!is_number || shard.count == 0) return std::nullopt;
  return GroupedName{absl::StrCat(name, variant), shard};
}

using Groups = std::map<std::string, FileGroup>;

// Adds the index's group and notes which files and stems it decides on.
void AddIndex(const ScannedDirectory& directory, uint32_t file, IndexReader read_index,
              Groups& groups, std::set<std::string>& named,
              std::map<std::string, std::string>& stems) {
  const std::string name = GroupOf(directory.files[file].name).group;
  FileGroup& group = groups[name];
  if (group.index_file) return;  // X.safetensors.index.V.json beside X.V.safetensors.index.json.
  group.index_file = file;
  group.index =
      std::make_shared<const absl::StatusOr<ModelIndex>>(read_index(directory.files[file]));
  if (!group.index->ok()) return;
  stems.emplace(name, name);
  for (const std::string& value : (*group.index)->files()) {
    const absl::StatusOr<std::string> path = ResolveIndexFile(directory.path, value);
    if (!path.ok()) continue;
    named.insert(*path);
    const size_t slash = path->rfind('/');
    const absl::string_view file_directory =
        absl::string_view(*path).substr(0, slash == std::string::npos ? 0 : slash);
    if (file_directory != directory.path) continue;
    const GroupedName grouped =
        GroupOf(slash == std::string::npos ? *path : path->substr(slash + 1));
    if (grouped.shard) stems.emplace(grouped.group, name);
  }
}

}  // namespace

GroupedName GroupOf(absl::string_view name) {
  if (absl::ConsumeSuffix(&name, kTensorsSuffix)) {
    return ParseShard(name).value_or(GroupedName{std::string(name), std::nullopt});
  }
  const size_t infix = name.find(kIndexInfix);
  absl::string_view variant = name.substr(infix + kIndexInfix.size());  // ".json", ".fp16.json"
  absl::ConsumeSuffix(&variant, ".json");
  return GroupedName{absl::StrCat(name.substr(0, infix), variant), std::nullopt};
}

std::vector<std::string> MissingShards(absl::string_view group,
                                       absl::Span<const ShardNumber> present) {
  constexpr size_t kMaxShown = 10;
  std::map<uint64_t, std::set<uint64_t>> sets;  // By count.
  for (const ShardNumber& shard : present) sets[shard.count].insert(shard.number);
  std::vector<std::string> sentences;
  for (const auto& [count, numbers] : sets) {
    if (numbers.size() >= count) continue;
    const uint64_t first = numbers.contains(0) ? 0 : 1;
    std::vector<uint64_t> missing;
    for (uint64_t n = first; n < first + count && missing.size() < kMaxShown; ++n) {
      if (!numbers.contains(n)) missing.push_back(n);
    }
    const uint64_t num_missing = count - numbers.size();
    sentences.push_back(absl::StrCat(
        num_missing, " of ", count, " shards of ", Quote(group), num_missing == 1 ? " is" : " are",
        " missing: ", num_missing == 1 ? "number " : "numbers ", absl::StrJoin(missing, ", "),
        num_missing > missing.size() ? ", ..." : ""));
  }
  return sentences;
}

std::vector<FileGroup> GroupFiles(const ScannedDirectory& directory, IndexReader read_index) {
  Groups groups;
  std::set<std::string> named;               // Paths that a sound index names.
  std::map<std::string, std::string> stems;  // Stem to the group of the index that claims it.
  for (uint32_t i = 0; i < directory.files.size(); ++i) {
    if (KindOf(directory.files[i].name) == FileKind::kIndex) {
      AddIndex(directory, i, read_index, groups, named, stems);
    }
  }
  for (uint32_t i = 0; i < directory.files.size(); ++i) {
    const std::string& name = directory.files[i].name;
    if (KindOf(name) != FileKind::kTensors) continue;
    if (!named.empty() && named.contains(JoinPath(directory.path, name))) continue;
    const std::string stem = GroupOf(name).group;
    const auto claimed = stems.find(stem);
    if (claimed != stems.end()) {
      groups[claimed->second].strays.push_back(i);
    } else {
      groups[stem].files.push_back(i);
    }
  }
  std::vector<FileGroup> result;
  result.reserve(groups.size());
  for (auto& [name, group] : groups) {
    group.name = name;
    result.push_back(std::move(group));
  }
  return result;
}

}  // namespace tensord
