#include "src/model_builder.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <queue>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/parallel_for.h"
#include "src/status_macros.h"
#include "src/version.h"

namespace tensord {
namespace {

// The clock of a file's mtime ticks in milliseconds, on some file systems in seconds: content may
// change again within the same mtime.
constexpr int64_t kYoungNs = 2'000'000'000;
constexpr int kMaxLooks = 3;

int64_t NowNs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

absl::StatusOr<SafetensorsFile> ReadHeader(const StoreRoot& root, const std::string& real_path) {
  TENSORD_ASSIGN_OR_RETURN(const OwnedFd fd, root.OpenFile(real_path));
  return ReadSafetensorsFile(fd.get());
}

std::string DetailOf(const absl::Status& status, const std::string& key) {
  const std::map<std::string, std::string> details = ErrorDetails(status);
  const auto it = details.find(key);
  return it == details.end() ? "" : it->second;
}

}  // namespace

absl::StatusOr<ModelIndex> ReadModelIndex(const StoreRoot& root, const ScannedDirectory& directory,
                                          const ScannedFile& file) {
  if (!file.fault.empty()) return MakeError(ErrorReason::kFileInvalid, file.fault);
  TENSORD_ASSIGN_OR_RETURN(const OwnedFd fd, root.OpenFile(directory.RealPathOf(file)));
  TENSORD_ASSIGN_OR_RETURN(const FileIdentity identity, IdentifyFile(fd.get()));
  if (identity.size_bytes > kMaxIndexBytes) {
    return MakeError(ErrorReason::kFileInvalid,
                     absl::StrCat("has ", identity.size_bytes, " bytes, more than the limit of ",
                                  kMaxIndexBytes));
  }
  std::string json(identity.size_bytes, '\0');
  size_t have = 0;
  while (have < json.size()) {
    const ssize_t got =
        pread(fd.get(), json.data() + have, json.size() - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("cannot be read", errno);
    if (got == 0) break;  // It shrank; what is left will not parse, or is the new text.
    have += static_cast<size_t>(got);
  }
  json.resize(have);
  return ModelIndex::Parse(json);
}

ModelBuilder::ModelBuilder(const ModelSource& source)
    : source_(source), model_(std::shared_ptr<Model>(new Model())) {
  model_->id_ = source.id;
  model_->short_name_ = source.short_name;
  model_->root_ = source.root;
  model_->scan_ = source.scan;
  model_->directory_ = source.directory->path;
  model_->group_ = source.group.name;
  model_->mappings_cache_ = source.mappings;
}

std::shared_ptr<const Model> ModelBuilder::Build(size_t num_threads) && {
  ListParts();
  ParallelFor(num_threads, parts_.size(), [this](size_t index) { ReadPart(index); });
  LookAgainAtYoungFiles();
  AddFiles();
  if (index_ != nullptr && index_->ok()) {
    BuildIndexedView(**index_);
    ReportStrays();
  } else {
    if (index_ != nullptr) AddBadIndex();
    ReportMissingShards();
    BuildMergedView();
  }
  RefuseOversized();
  AddTotals();
  SetState();
  SetVersion();
  return std::move(model_);
}

void ModelBuilder::ListParts() {
  const FileGroup& group = source_.group;
  const std::vector<ScannedFile>& files = source_.directory->files;
  if (group.index_file) {
    index_ = group.index != nullptr
                 ? group.index
                 : std::make_shared<const absl::StatusOr<ModelIndex>>(
                       ReadModelIndex(*source_.root, *source_.directory, files[*group.index_file]));
    if (index_->ok()) return ListIndexedParts(**index_);
  }
  for (const uint32_t file : group.files) AddPart(files[file]);
}

void ModelBuilder::AddPart(const ScannedFile& file) {
  Part part;
  part.name = file.name;
  part.scanned = &file;
  part.fault = file.fault;
  if (file.is_missing) part.fault_reason = ErrorReason::kShardMissing;
  if (file.fault.empty()) part.real_path = source_.directory->RealPathOf(file);
  parts_.push_back(std::move(part));
}

ModelBuilder::Part ModelBuilder::PartOfIndexValue(const std::string& value) const {
  Part part;
  part.name = value;
  const absl::StatusOr<std::string> path = ResolveIndexFile(source_.directory->path, value);
  if (!path.ok()) {
    part.fault = absl::StrCat("is not opened: the index ", path.status().message());
    return part;
  }
  const std::string& base = source_.directory->path;
  part.name = path->substr(base.empty() ? 0 : base.size() + 1);
  const size_t slash = path->rfind('/');
  const ScannedDirectory* directory =
      source_.scan->Find(slash == std::string::npos ? "" : path->substr(0, slash));
  part.scanned =
      directory == nullptr
          ? nullptr
          : directory->Find(slash == std::string::npos ? *path : path->substr(slash + 1));
  if (part.scanned == nullptr || !part.scanned->fault.empty()) {
    const bool is_missing = part.scanned == nullptr || part.scanned->is_missing;
    part.fault = part.scanned == nullptr ? "is missing" : part.scanned->fault;
    if (is_missing) part.fault_reason = ErrorReason::kShardMissing;
    return part;
  }
  part.real_path = directory->RealPathOf(*part.scanned);
  return part;
}

// Two spellings of one path, "./a" and "a", are one part.
void ModelBuilder::ListIndexedParts(const ModelIndex& index) {
  std::map<std::string, Part> by_name;
  std::vector<std::string> names;
  for (const std::string& value : index.files()) {
    Part part = PartOfIndexValue(value);
    names.push_back(part.name);
    by_name.try_emplace(part.name, std::move(part));
  }
  std::map<std::string, uint32_t> numbers;
  for (auto& [name, part] : by_name) {
    numbers[name] = static_cast<uint32_t>(parts_.size());
    parts_.push_back(std::move(part));
  }
  for (const std::string& name : names) index_parts_.push_back(numbers[name]);
}

void ModelBuilder::ReadPart(size_t index) const {
  Part& part = parts_[index];
  if (!part.real_path.empty()) part.file = ReadHeader(*source_.root, part.real_path);
}

// Bounded: a file that is written all the time is refused until a later scan finds it at rest.
void ModelBuilder::LookAgainAtYoungFiles() {
  for (size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    for (int look = 1; look <= kMaxLooks; ++look) {
      const bool is_changing = ReasonOf(part.file.status()) == ErrorReason::kFileChanged;
      const bool is_young = part.file.ok() && NowNs() - part.file->identity.mtime_ns < kYoungNs;
      if (!is_young && !is_changing) break;
      const absl::StatusOr<FileIdentity> now = source_.root->Identify(part.real_path);
      if (part.file.ok() && now.ok() && *now == part.file->identity) break;
      if (look == kMaxLooks) {
        part.file = MakeError(ErrorReason::kFileChanged, "is being written");
      } else {
        ReadPart(i);
      }
    }
  }
}

uint32_t ModelBuilder::AddProblem(absl::string_view file, ErrorReason reason, std::string message) {
  Problem problem;
  problem.file = std::string(file);
  problem.reason = reason;
  problem.message = std::move(message);
  model_->problems_.push_back(std::move(problem));
  return static_cast<uint32_t>(model_->problems_.size() - 1);
}

void ModelBuilder::AddFiles() {
  model_->files_.reserve(parts_.size());
  model_->records_.reserve(parts_.size());
  for (Part& part : parts_) {
    ModelFile file;
    Model::FileRecord record;
    file.name = part.name;
    record.real_path = part.real_path;
    if (part.scanned != nullptr) file.sha256 = part.scanned->sha256;
    if (!part.fault.empty()) {
      record.problem = AddProblem(part.name, part.fault_reason,
                                  absl::StrCat("file ", Quote(part.name), " ", part.fault));
    } else if (!part.file.ok()) {
      const absl::Status& status = part.file.status();
      const bool is_gone = ReasonOf(status) == ErrorReason::kFileNotFound;
      record.problem =
          AddProblem(part.name, is_gone ? ErrorReason::kShardMissing : ReasonOf(status),
                     absl::StrCat("file ", Quote(part.name), ": ", status.message()));
      model_->problems_.back().variant = DetailOf(status, "variant");
    } else {
      file.size_bytes = part.file->identity.size_bytes;
      file.header = part.file->header;
      record.identity = part.file->identity;
    }
    if (record.problem && !model_->doubt_ && !(index_ != nullptr && index_->ok())) {
      model_->doubt_ = record.problem;
    }
    model_->files_.push_back(std::move(file));
    model_->records_.push_back(std::move(record));
  }
}

void ModelBuilder::AddBadIndex() {
  const std::string& name = source_.directory->files[*source_.group.index_file].name;
  const absl::Status& status = index_->status();
  const uint32_t problem =
      AddProblem(name, ReasonOf(status),
                 absl::StrCat("index ", Quote(name), " ", status.message(),
                              "; the files are served as far as they agree without it"));
  if (!model_->doubt_) model_->doubt_ = problem;
}

void ModelBuilder::ReportStrays() {
  for (const uint32_t stray : source_.group.strays) {
    const std::string& name = source_.directory->files[stray].name;
    AddProblem(
        name, ErrorReason::kUnspecified,
        absl::StrCat("file ", Quote(name), " is no part of the model: the index does not name it"));
  }
}

void ModelBuilder::ReportMissingShards() {
  if (source_.is_file_alone) return;
  constexpr size_t kMaxShown = 10;
  std::map<uint64_t, std::set<uint64_t>> numbers;  // By count.
  for (const Part& part : parts_) {
    const std::optional<ShardNumber> shard = GroupOf(part.name).shard;
    if (shard) numbers[shard->count].insert(shard->number);
  }
  for (const auto& [count, present] : numbers) {
    if (present.size() >= count) continue;
    // Numbers begin at 1, with some writers at 0.
    const uint64_t first = present.contains(0) ? 0 : 1;
    std::vector<uint64_t> missing;
    for (uint64_t n = first; n < first + count && missing.size() < kMaxShown; ++n) {
      if (!present.contains(n)) missing.push_back(n);
    }
    const uint64_t num_missing = count - present.size();
    const uint32_t problem = AddProblem(
        "", ErrorReason::kShardMissing,
        absl::StrCat(num_missing, " of ", count, " shards of ", Quote(source_.group.name),
                     num_missing == 1 ? " is" : " are",
                     " missing: ", num_missing == 1 ? "number " : "numbers ",
                     absl::StrJoin(missing, ", "), num_missing > missing.size() ? ", ..." : ""));
    if (!model_->doubt_) model_->doubt_ = problem;
  }
}

absl::string_view ModelBuilder::NameOf(TensorRef ref) const {
  return model_->files_[ref.file].header->tensor(ref.entry).name;
}

void ModelBuilder::BuildIndexedView(const ModelIndex& index) {
  struct Astray {
    uint64_t count = 0;
    uint32_t problem = 0;
  };
  std::map<uint32_t, Astray> astray;  // By file: tensors that it lacks.
  model_->view_.reserve(index.num_tensors());
  for (size_t i = 0; i < index.num_tensors(); ++i) {
    const ModelIndex::Entry entry = index.entry(i);
    const uint32_t file = index_parts_[entry.file];
    const ModelFile& holder = model_->files_[file];
    if (holder.header == nullptr) {
      model_->refusals_.push_back(
          {std::string(entry.tensor), *model_->records_[file].problem, {}, {}});
      continue;
    }
    if (const std::optional<size_t> found = holder.header->Find(entry.tensor)) {
      model_->view_.push_back({file, static_cast<uint32_t>(*found)});
      continue;
    }
    Astray& lacking = astray[file];
    if (lacking.count++ == 0) {
      lacking.problem =
          AddProblem(holder.name, ErrorReason::kFileInvalid,
                     absl::StrCat("file ", Quote(holder.name), " lacks tensor ",
                                  Quote(entry.tensor), ", which the index places in it"));
    }
    model_->refusals_.push_back({std::string(entry.tensor), lacking.problem, {}, {}});
  }
  for (const auto& [file, lacking] : astray) {
    if (lacking.count == 1) continue;
    absl::StrAppend(&model_->problems_[lacking.problem].message, ", and ", lacking.count - 1,
                    " more");
  }
}

void ModelBuilder::BuildMergedView() {
  const std::vector<ModelFile>& files = model_->files_;
  if (files.size() == 1 && files[0].header != nullptr) {
    model_->is_whole_file_ = true;
    return;
  }
  // Each header is in order of name: merging k of them compares log2(k) times a tensor.
  const auto stands_behind = [this](TensorRef a, TensorRef b) {
    const int order = NameOf(a).compare(NameOf(b));
    return order != 0 ? order > 0 : a.file > b.file;
  };
  std::priority_queue<TensorRef, std::vector<TensorRef>, decltype(stands_behind)> heads(
      stands_behind);
  for (uint32_t file = 0; file < files.size(); ++file) {
    if (files[file].header != nullptr && files[file].header->num_tensors() > 0)
      heads.push({file, 0});
  }
  std::vector<TensorRef> merged;
  while (!heads.empty()) {
    TensorRef head = heads.top();
    heads.pop();
    merged.push_back(head);
    if (++head.entry < files[head.file].header->num_tensors()) heads.push(head);
  }
  RefuseDuplicates(merged);
  model_->view_ = std::move(merged);
}

// Without an index nothing says which of two tensors of a name is meant.
void ModelBuilder::RefuseDuplicates(std::vector<TensorRef>& merged) {
  std::vector<TensorRef> unique;
  unique.reserve(merged.size());
  std::optional<uint32_t> problem;
  uint64_t count = 0;
  for (size_t begin = 0, end = 0; begin < merged.size(); begin = end) {
    for (end = begin + 1; end < merged.size() && NameOf(merged[end]) == NameOf(merged[begin]);)
      ++end;
    if (end == begin + 1) {
      unique.push_back(merged[begin]);
      continue;
    }
    const uint32_t file = merged[begin].file;
    const uint32_t other = merged[begin + 1].file;
    const absl::string_view name = NameOf(merged[begin]);
    if (count++ == 0) {
      problem = AddProblem(
          "", ErrorReason::kFileInvalid,
          absl::StrCat("tensor ", Quote(name), " stands in ", Quote(model_->files_[file].name),
                       " and in ", Quote(model_->files_[other].name)));
    }
    model_->refusals_.push_back({std::string(name), *problem, file, other});
  }
  if (problem) {
    std::string& message = model_->problems_[*problem].message;
    if (count > 1) absl::StrAppend(&message, ", and so ", count - 1, " more");
    absl::StrAppend(&message, "; no index decides, so only the path of one file finds them");
  }
  merged = std::move(unique);
}

void ModelBuilder::RefuseOversized() {
  const auto is_oversized = [this](size_t index) {
    const Model::Tensor tensor = model_->tensor(index);
    return tensor.name.size() > kMaxServedNameBytes || tensor.shape.size() > kMaxServedRank;
  };
  std::vector<size_t> oversized;
  const size_t count = model_->num_tensors();
  for (size_t i = 0; i < count; ++i) {
    if (is_oversized(i)) oversized.push_back(i);
  }
  if (oversized.empty()) return;
  std::vector<TensorRef> served;
  std::map<uint32_t, uint32_t> problems;  // By file.
  for (size_t i = 0, next = 0; i < count; ++i) {
    if (next == oversized.size() || oversized[next] != i) {
      served.push_back(model_->ref(i));
      continue;
    }
    ++next;
    const Model::Tensor tensor = model_->tensor(i);
    const auto file = static_cast<uint32_t>(tensor.file);
    if (!problems.contains(file)) {
      const std::string& name = model_->files_[file].name;
      problems[file] =
          AddProblem(name, ErrorReason::kFileInvalid,
                     absl::StrCat("file ", Quote(name), ": tensor ", Quote(tensor.name),
                                  " has rank ", tensor.shape.size(), " and a name of ",
                                  tensor.name.size(), " bytes; served are at most ", kMaxServedRank,
                                  " and ", kMaxServedNameBytes));
    }
    model_->refusals_.push_back({std::string(tensor.name), problems[file], {}, {}});
  }
  model_->view_ = std::move(served);
  model_->is_whole_file_ = false;
}

void ModelBuilder::AddTotals() {
  std::array<DtypeUsage, kNumDtypes> usage = {};
  const size_t count = model_->num_tensors();
  for (size_t i = 0; i < count; ++i) {
    const Model::Tensor tensor = model_->tensor(i);
    DtypeUsage& of_dtype = usage[static_cast<size_t>(tensor.dtype)];
    of_dtype.dtype = tensor.dtype;
    ++of_dtype.num_tensors;
    // The header was validated: elements times bits is the size, so nothing can wrap here.
    of_dtype.num_parameters += tensor.size_bytes * 8 / BitsPerElement(tensor.dtype);
    of_dtype.size_bytes += tensor.size_bytes;
  }
  for (const DtypeUsage& of_dtype : usage) {
    if (of_dtype.num_tensors == 0) continue;
    model_->dtypes_.push_back(of_dtype);
    model_->num_parameters_ += of_dtype.num_parameters;
    model_->size_bytes_ += of_dtype.size_bytes;
  }
  std::sort(model_->refusals_.begin(), model_->refusals_.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
}

void ModelBuilder::SetState() {
  const bool is_partial = std::any_of(
      model_->problems_.begin(), model_->problems_.end(),
      [](const Problem& problem) { return problem.reason != ErrorReason::kUnspecified; });
  if (!is_partial) return;
  const bool serves_any = std::any_of(model_->files_.begin(), model_->files_.end(),
                                      [](const ModelFile& file) { return file.header != nullptr; });
  model_->state_ = serves_any ? ModelState::kIncomplete : ModelState::kInvalid;
}

void ModelBuilder::SetVersion() {
  std::vector<VersionedFile> files;
  for (const Part& part : parts_) {
    VersionedFile file;
    file.name = part.name;
    if (part.file.ok()) {
      const FileIdentity& identity = part.file->identity;
      file.size_bytes = identity.size_bytes;
      file.header_digest = part.file->header_digest;
      const bool is_blob = part.scanned != nullptr && !part.scanned->sha256.empty();
      file.content_tag = is_blob ? part.scanned->sha256 : absl::StrCat(identity.mtime_ns);
    }
    files.push_back(std::move(file));
  }
  // An index decides which duplicate counts, so it is part of the content; all of it is hashed, so
  // its mtime does not matter.
  if (index_ != nullptr && index_->ok()) {
    const std::string& name = source_.directory->files[*source_.group.index_file].name;
    files.push_back({name, (*index_)->size_bytes(), (*index_)->digest(), ""});
  }
  model_->version_ = ComputeVersion(std::move(files));
}

}  // namespace tensord
