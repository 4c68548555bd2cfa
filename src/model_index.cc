#include "src/model_index.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "rapidjson/error/en.h"
#include "rapidjson/memorystream.h"
#include "rapidjson/reader.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/sha256.h"
#include "src/utf8.h"

namespace tensord {
namespace {

absl::Status Invalid(absl::string_view what) { return MakeError(ErrorReason::kFileInvalid, what); }

}  // namespace

// Collects the rows while the parser walks; each event returns false to stop, then error() says
// why.
class ModelIndexBuilder
    : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, ModelIndexBuilder> {
 public:
  bool Default() { return depth_ == 0 ? Fail("wanted an object") : Scalar(); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return Default(); }
  bool String(const char* text, rapidjson::SizeType size, bool);
  bool Key(const char* text, rapidjson::SizeType size, bool);
  bool StartObject();
  bool EndObject(rapidjson::SizeType) { return Leave(); }
  bool StartArray() { return depth_ == 0 || is_map_next_ ? Default() : Enter(); }
  bool EndArray(rapidjson::SizeType) { return Leave(); }

  const std::string& error() const { return error_; }

  // Sorts what was collected. Once, after a parse without error.
  absl::StatusOr<ModelIndex> Finish();

 private:
  bool Fail(absl::string_view why) {
    error_ = std::string(why);
    return false;
  }
  bool Scalar();
  bool Enter();
  bool Leave();
  void SortFiles();

  ModelIndex index_;
  absl::flat_hash_map<std::string, uint32_t> file_numbers_;
  size_t depth_ = 0;
  bool is_map_next_ = false;  // The key just read is the top level's weight_map.
  bool in_map_ = false;       // At depth 2 of it.
  bool has_map_ = false;
  std::string error_;
};

bool ModelIndexBuilder::Scalar() {
  if (is_map_next_) return Fail("weight_map is no object");
  if (!in_map_) return true;
  const ModelIndex::Row& row = index_.entries_.back();
  return Fail(absl::StrCat("the file of tensor ", Quote(index_.names_.substr(row.offset, row.size)),
                           " is no string"));
}

bool ModelIndexBuilder::Enter() {
  if (in_map_) return Scalar();
  if (++depth_ > kMaxIndexDepth) {
    return Fail(absl::StrCat("nests deeper than ", kMaxIndexDepth, " levels"));
  }
  return true;
}

bool ModelIndexBuilder::Leave() {
  --depth_;
  in_map_ = false;
  return true;
}

bool ModelIndexBuilder::StartObject() {
  if (!Enter()) return false;
  in_map_ = std::exchange(is_map_next_, false);
  has_map_ |= in_map_;
  return true;
}

bool ModelIndexBuilder::Key(const char* text, rapidjson::SizeType size, bool) {
  if (in_map_) {
    index_.entries_.push_back({index_.names_.size(), size, 0});
    index_.names_.append(text, size);
  } else if (depth_ == 1 && absl::string_view(text, size) == "weight_map") {
    if (has_map_) return Fail("weight_map stands twice");
    is_map_next_ = true;
  }
  return true;
}

bool ModelIndexBuilder::String(const char* text, rapidjson::SizeType size, bool) {
  if (!in_map_) return Default();
  const absl::string_view file(text, size);
  const auto [it, is_new] =
      file_numbers_.try_emplace(file, static_cast<uint32_t>(file_numbers_.size()));
  if (is_new && file_numbers_.size() > kMaxIndexFiles) {
    return Fail(absl::StrCat("names more than ", kMaxIndexFiles, " files"));
  }
  index_.entries_.back().file = it->second;
  return true;
}

// Numbers the files in order of name.
void ModelIndexBuilder::SortFiles() {
  index_.files_.resize(file_numbers_.size());
  for (const auto& [file, number] : file_numbers_) index_.files_[number] = file;
  std::sort(index_.files_.begin(), index_.files_.end());
  std::vector<uint32_t> renumbered(index_.files_.size());
  for (uint32_t i = 0; i < index_.files_.size(); ++i) {
    renumbered[file_numbers_[index_.files_[i]]] = i;
  }
  for (ModelIndex::Row& row : index_.entries_) row.file = renumbered[row.file];
}

absl::StatusOr<ModelIndex> ModelIndexBuilder::Finish() {
  if (!has_map_) return Invalid("has no weight_map");
  SortFiles();
  const auto name = [this](const ModelIndex::Row& row) {
    return absl::string_view(index_.names_).substr(row.offset, row.size);
  };
  auto& rows = index_.entries_;
  const auto less = [&](const auto& a, const auto& b) { return name(a) < name(b); };
  if (!std::is_sorted(rows.begin(), rows.end(), less)) std::sort(rows.begin(), rows.end(), less);
  for (size_t i = 1; i < rows.size(); ++i) {
    if (name(rows[i]) != name(rows[i - 1]) || rows[i].file == rows[i - 1].file) continue;
    return Invalid(absl::StrCat("places tensor ", Quote(name(rows[i])), " in two files, ",
                                Quote(index_.files_[rows[i - 1].file]), " and ",
                                Quote(index_.files_[rows[i].file])));
  }
  rows.erase(std::unique(rows.begin(), rows.end(),
                         [&](const auto& a, const auto& b) { return name(a) == name(b); }),
             rows.end());
  return std::move(index_);
}

absl::StatusOr<ModelIndex> ModelIndex::Parse(absl::string_view json) {
  if (json.size() > kMaxIndexBytes) {
    return Invalid(
        absl::StrCat("has ", json.size(), " bytes, more than the limit of ", kMaxIndexBytes));
  }
  const size_t bad_byte = FindInvalidUtf8(json);
  if (bad_byte != json.size()) return Invalid(absl::StrCat("is not UTF-8 at byte ", bad_byte));
  ModelIndexBuilder builder;
  rapidjson::MemoryStream stream(json.data(), json.size());
  rapidjson::Reader reader;
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag |
                              rapidjson::kParseNumbersAsStringsFlag |
                              rapidjson::kParseValidateEncodingFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, builder);
  if (result.IsError()) {
    const std::string why =
        builder.error().empty()
            ? absl::StrCat("is not valid JSON: ", rapidjson::GetParseError_En(result.Code()))
            : builder.error();
    return Invalid(absl::StrCat(why, " (at byte ", result.Offset(), ")"));
  }
  absl::StatusOr<ModelIndex> index = builder.Finish();
  if (!index.ok()) return index;
  index->size_bytes_ = json.size();
  index->digest_ = Sha256(json);
  return index;
}

ModelIndex::Entry ModelIndex::entry(size_t index) const {
  const Row& row = entries_[index];
  return {absl::string_view(names_).substr(row.offset, row.size), row.file};
}

absl::StatusOr<std::string> ResolveIndexFile(absl::string_view directory, absl::string_view value) {
  if (absl::StartsWith(value, "/")) {
    return Invalid(absl::StrCat("names ", Quote(value),
                                ", an absolute path; wanted one relative "
                                "to the index"));
  }
  std::vector<absl::string_view> parts = absl::StrSplit(value, '/');
  for (const absl::string_view part : parts) {
    if (part == "..") {
      return Invalid(absl::StrCat("names ", Quote(value), "; `..` is not allowed"));
    }
  }
  parts.erase(std::remove_if(parts.begin(), parts.end(),
                             [](absl::string_view part) { return part.empty() || part == "."; }),
              parts.end());
  if (parts.empty() || !absl::EndsWith(value, ".safetensors")) {
    return Invalid(absl::StrCat("names ", Quote(value), "; wanted a .safetensors file"));
  }
  const std::string relative = absl::StrJoin(parts, "/");
  return directory.empty() ? relative : absl::StrCat(directory, "/", relative);
}

}  // namespace tensord
