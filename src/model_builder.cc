#include "src/model_builder.h"

#include <algorithm>
#include <array>
#include <map>
#include <queue>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/version.h"

namespace tensord {
namespace {

std::string DetailOf(const absl::Status& status, const std::string& key) {
  const std::map<std::string, std::string> details = ErrorDetails(status);
  const auto it = details.find(key);
  return it == details.end() ? "" : it->second;
}

}  // namespace

ModelBuilder::ModelBuilder(const ModelSource& source)
    : source_(source), model_(std::shared_ptr<Model>(new Model())) {
  model_->id_ = source.id;
  model_->short_name_ = source.short_name;
  model_->root_ = source.root;
  model_->directory_ = source.directory;
  model_->group_ = source.group.name;
  model_->mappings_cache_ = source.mappings;
  model_->read_mode_ = source.read_mode;
  model_->closer_ = source.closer;
}

std::shared_ptr<const Model> ModelBuilder::Build(size_t num_threads) && {
  parts_ = ReadModelParts(source_, num_threads);
  AddFiles();
  if (parts_.has_sound_index()) {
    BuildIndexedView(**parts_.index);
    ReportStrays();
  } else {
    if (parts_.index != nullptr) AddBadIndex();
    ReportMissingShards();
    BuildMergedView();
  }
  RefuseOversized();
  AddTotals();
  SetState();
  SetVersion();
  KeepMappings();
  return std::move(model_);
}

void ModelBuilder::KeepMappings() {
  for (size_t i = 0; i < parts_.parts.size(); ++i) {
    if (parts_.parts[i].mapping != nullptr) model_->KeepMapping(i, parts_.parts[i].mapping);
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
  model_->files_.reserve(parts_.parts.size());
  model_->records_.reserve(parts_.parts.size());
  for (const ModelPart& part : parts_.parts) {
    ModelFile file;
    Model::FileRecord record;
    file.name = part.name;
    record.real_path = part.real_path;
    if (part.scanned != nullptr) file.sha256 = part.scanned->details().sha256;
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
    } else if (!HasRoomFor(*part.file->header)) {
      record.problem =
          AddProblem(part.name, ErrorReason::kFileInvalid,
                     absl::StrCat("file ", Quote(part.name), " has a header of ",
                                  part.file->header->num_tensors(), " tensors, which takes ",
                                  part.file->header->memory_bytes(), " bytes of memory; left are ",
                                  source_.max_index_bytes - index_bytes_, " of the ",
                                  source_.max_index_bytes, " that --index-memory allows a model"));
    } else {
      index_bytes_ += part.file->header->memory_bytes();
      file.size_bytes = part.file->identity.size_bytes;
      file.header = part.file->header;
      record.identity = part.file->identity;
      record.header_digest = part.file->header_digest;
      record.is_settled = part.is_settled;
    }
    model_->is_settled_ &= part.real_path.empty() || part.is_settled;
    model_->is_outdated_ |= part.is_gone;
    if (record.problem && !model_->doubt_ && !parts_.has_sound_index()) {
      model_->doubt_ = record.problem;
    }
    model_->files_.push_back(std::move(file));
    model_->records_.push_back(std::move(record));
  }
}

bool ModelBuilder::HasRoomFor(const SafetensorsHeader& header) const {
  return header.memory_bytes() <= source_.max_index_bytes - index_bytes_;
}

void ModelBuilder::AddBadIndex() {
  const std::string& name = source_.directory->files[*source_.group.index_file].name;
  const absl::Status& status = parts_.index->status();
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
  std::vector<ShardNumber> present;
  for (const ModelPart& part : parts_.parts) {
    if (const std::optional<ShardNumber> shard = GroupOf(part.name).shard) {
      present.push_back(*shard);
    }
  }
  for (std::string& sentence : MissingShards(source_.group.name, present)) {
    const uint32_t problem = AddProblem("", ErrorReason::kShardMissing, std::move(sentence));
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
    const uint32_t file = parts_.part_of_file[entry.file];
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
  for (const ModelPart& part : parts_.parts) {
    VersionedFile file;
    file.name = part.name;
    if (part.file.ok()) {
      const FileIdentity& identity = part.file->identity;
      file.size_bytes = identity.size_bytes;
      file.header_digest = part.file->header_digest;
      const bool is_blob = part.scanned != nullptr && !part.scanned->details().sha256.empty();
      file.content_tag = is_blob ? part.scanned->details().sha256 : absl::StrCat(identity.mtime_ns);
    }
    files.push_back(std::move(file));
  }
  // An index decides which duplicate counts, so it is part of the content; all of it is hashed, so
  // its mtime does not matter.
  if (parts_.has_sound_index()) {
    const std::string& name = source_.directory->files[*source_.group.index_file].name;
    files.push_back({name, (*parts_.index)->size_bytes(), (*parts_.index)->digest(), ""});
  }
  model_->version_ = ComputeVersion(std::move(files));
}

}  // namespace tensord
