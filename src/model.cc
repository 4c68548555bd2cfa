#include "src/model.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/closest_names.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/mapping_cache.h"
#include "src/natural_order.h"
#include "src/safetensors_file.h"
#include "src/status_macros.h"
#include "src/store_root.h"
#include "src/store_scan.h"

namespace tensord {
namespace {

// In a directory of many models' side files only those named after the model are its own: else
// 50,000 adapters side by side would list each other's files.
constexpr size_t kMaxSharedSideFiles = 256;

bool IsNamedAfter(absl::string_view file, absl::string_view group) {
  return absl::StartsWith(file, group) && file.size() > group.size() && file[group.size()] == '.';
}

}  // namespace

size_t Model::num_tensors() const {
  return is_whole_file_ ? files_[0].header->num_tensors() : view_.size();
}

Model::TensorRef Model::ref(size_t index) const {
  return is_whole_file_ ? TensorRef{0, static_cast<uint32_t>(index)} : view_[index];
}

Model::Tensor Model::tensor(size_t index) const {
  const TensorRef at = ref(index);
  const SafetensorsHeader::Entry entry = files_[at.file].header->tensor(at.entry);
  return {entry.name, entry.dtype, entry.shape, entry.size_bytes, at.file, entry.offset_bytes};
}

std::vector<uint32_t> Model::SortedBy(bool natural) const {
  struct Key {
    Tensor tensor;
    uint32_t index;
  };
  std::vector<Key> keys(num_tensors());
  for (uint32_t i = 0; i < keys.size(); ++i) keys[i] = {tensor(i), i};
  if (natural) {
    std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
      return CompareNatural(a.tensor.name, b.tensor.name) < 0;
    });
  } else {
    // Empty tensors share their offset with a neighbour: before it, then by name.
    std::stable_sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
      return std::tie(a.tensor.file, a.tensor.offset_bytes, a.tensor.size_bytes) <
             std::tie(b.tensor.file, b.tensor.offset_bytes, b.tensor.size_bytes);
    });
  }
  std::vector<uint32_t> order(keys.size());
  std::transform(keys.begin(), keys.end(), order.begin(), [](const Key& key) { return key.index; });
  return order;
}

absl::Span<const uint32_t> Model::natural_order() const {
  return natural_order_.Get([this] { return SortedBy(/*natural=*/true); });
}

absl::Span<const uint32_t> Model::file_order() const {
  return file_order_.Get([this] { return SortedBy(/*natural=*/false); });
}

absl::string_view Model::NameOf(size_t index) const {
  const TensorRef at = ref(index);
  return files_[at.file].header->tensor(at.entry).name;
}

absl::StatusOr<size_t> Model::Find(absl::string_view name, size_t near) const {
  if (near + 1 < num_tensors() && NameOf(near + 1) == name) return near + 1;
  // [begin, end) begins at or behind `near` or ends there, and doubles until it must hold the name.
  size_t begin = 0;
  size_t end = num_tensors();
  if (near < end) {
    size_t step = 1;
    if (NameOf(near) <= name) {
      for (begin = near; step < end - begin && NameOf(begin + step) <= name; step *= 2)
        begin += step;
      end = std::min(end, begin + step);
    } else {
      for (end = near; step < end && NameOf(end - step) > name; step *= 2) end -= step;
      begin = step < end ? end - step : 0;
    }
  }
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    const int order = NameOf(middle).compare(name);
    if (order == 0) return middle;
    (order < 0 ? begin : end) = order < 0 ? middle + 1 : middle;
  }
  const auto refusal =
      std::lower_bound(refusals_.begin(), refusals_.end(), name,
                       [](const Refusal& r, absl::string_view n) { return r.name < n; });
  if (refusal != refusals_.end() && refusal->name == name) return NotServed(*refusal);
  return NotFound(name);
}

absl::Status Model::NotServed(const Refusal& refusal) const {
  const Problem& problem = problems_[refusal.problem];
  const std::string tensor = absl::StrCat("tensor ", Quote(refusal.name), " of model ", Quote(id_));
  if (refusal.file && refusal.other_file) {
    return MakeError(problem.reason,
                     absl::StrCat(tensor, " stands in ", Quote(files_[*refusal.file].name),
                                  " and in ", Quote(files_[*refusal.other_file].name),
                                  ", and no index decides; ask for it by the path of one file"));
  }
  std::map<std::string, std::string> details;
  if (!problem.variant.empty()) details["variant"] = problem.variant;
  return MakeError(problem.reason, absl::StrCat(tensor, " is not served: ", problem.message),
                   details);
}

absl::Status Model::NotFound(absl::string_view name) const {
  const std::string what = absl::StrCat("tensor ", Quote(name), " not in model ", Quote(id_));
  for (const ModelFile& file : files_) {
    // save_model drops a tied tensor and notes the one it kept as metadata[dropped] = kept.
    for (size_t i = 0; file.header != nullptr && i < file.header->num_metadata_entries(); ++i) {
      const SafetensorsHeader::MetadataEntry entry = file.header->metadata(i);
      if (entry.key != name || !file.header->Find(entry.value)) continue;
      return MakeError(
          ErrorReason::kTensorNotFound,
          absl::StrCat(what, ": it is tied to ", Quote(entry.value), ", which was kept"),
          {{"kept", std::string(entry.value)}});
    }
  }
  const std::string closest = ShowClosest(
      ClosestNames(name, num_tensors(), [this](size_t index) { return tensor(index).name; }));
  if (doubt_) {
    const Problem& problem = problems_[*doubt_];
    return MakeError(problem.reason,
                     absl::StrCat(what, ", or not served: ", problem.message, closest));
  }
  return MakeError(ErrorReason::kTensorNotFound, absl::StrCat(what, closest));
}

std::shared_ptr<const ServedFile> Model::FindMapping(size_t file) const {
  MutexLock lock(mutex_);
  if (mappings_.empty()) return nullptr;
  std::shared_ptr<const ServedFile> found = mappings_[file].lock();
  // What broke once is opened anew: the next reader learns what the file is now.
  return found != nullptr && found->is_broken() ? nullptr : found;
}

absl::StatusOr<std::shared_ptr<const ServedFile>> Model::OpenAndMap(
    const std::string& real_path) const {
  TENSORD_ASSIGN_OR_RETURN(OwnedFd fd, root_->OpenFile(real_path));
  return ServedFile::Open(std::move(fd), read_mode_, closer_);
}

absl::StatusOr<std::shared_ptr<const ServedFile>> Model::MapAsIs(const std::string& real_path,
                                                                 absl::string_view name) const {
  absl::StatusOr<std::shared_ptr<const ServedFile>> mapping = OpenAndMap(real_path);
  if (!mapping.ok()) return Annotate(mapping.status(), absl::StrCat("file ", Quote(name)));
  return mapping;
}

std::shared_ptr<const ServedFile> Model::FindMapped(size_t file) const {
  std::shared_ptr<const ServedFile> mapping = FindMapping(file);
  if (mapping != nullptr) mappings_cache_->Touch(mapping);
  return mapping;
}

FilePlace Model::PlaceOf(absl::string_view name) const {
  const auto own = std::find_if(files_.begin(), files_.end(),
                                [name](const ModelFile& file) { return file.name == name; });
  if (own != files_.end()) return place(static_cast<size_t>(own - files_.begin()));
  const ScannedFile* const beside = directory_->Find(name);
  if (beside != nullptr) return tensord::PlaceOf(beside->identity);
  return records_.empty() ? FilePlace() : place(0);
}

absl::StatusOr<std::shared_ptr<const ServedFile>> Model::Map(size_t file) const {
  const FileRecord& record = records_[file];
  const std::string what = absl::StrCat("file ", Quote(files_[file].name));
  if (record.problem) {
    const Problem& problem = problems_[*record.problem];
    return MakeError(problem.reason, problem.message);
  }
  if (std::shared_ptr<const ServedFile> mapping = FindMapped(file)) return mapping;
  absl::StatusOr<std::shared_ptr<const ServedFile>> mapping = OpenAndMap(record.real_path);
  if (ReasonOf(mapping.status()) == ErrorReason::kFileNotFound) {
    return MakeError(ErrorReason::kFileChanged, absl::StrCat(what, " is gone since it was listed"));
  }
  if (!mapping.ok()) return Annotate(mapping.status(), what);
  const FileIdentity& now = (*mapping)->identity();
  TENSORD_RETURN_IF_ERROR(Annotate(CheckSameContent(record.identity, now), what));
  if (now.inode != record.identity.inode || now.device != record.identity.device) {
    return MakeError(ErrorReason::kFileChanged,
                     absl::StrCat(what, " was replaced since its header was read"));
  }
  KeepMapping(file, *mapping);
  return mapping;
}

void Model::KeepMapping(size_t file, const std::shared_ptr<const ServedFile>& mapping) const {
  mappings_cache_->Keep(mapping);
  std::weak_ptr<const ServedFile> before = mapping;
  {
    MutexLock lock(mutex_);
    mappings_.resize(files_.size());
    mappings_[file].swap(before);
  }
  // Another thread mapped the file at the same time: the cache needs one of the two only.
  if (const std::shared_ptr<const ServedFile> replaced = before.lock()) {
    mappings_cache_->Release(replaced.get());
  }
}

Model::~Model() {
  for (const std::weak_ptr<const ServedFile>& weak : mappings_) {
    const std::shared_ptr<const ServedFile> mapping = weak.lock();
    if (mapping != nullptr) mappings_cache_->Release(mapping.get());
  }
}

std::optional<SafetensorsFile> Model::KnownFile(absl::string_view name,
                                                const FileIdentity& identity) const {
  const auto file =
      std::lower_bound(files_.begin(), files_.end(), name,
                       [](const ModelFile& f, absl::string_view n) { return f.name < n; });
  if (file == files_.end() || file->name != name) return std::nullopt;
  const FileRecord& record = records_[static_cast<size_t>(file - files_.begin())];
  if (file->header == nullptr || !record.is_settled || record.identity != identity) {
    return std::nullopt;
  }
  return SafetensorsFile{file->header, record.identity, record.header_digest};
}

std::shared_ptr<const ServedFile> Model::KnownMapping(absl::string_view name) const {
  const auto file =
      std::lower_bound(files_.begin(), files_.end(), name,
                       [](const ModelFile& f, absl::string_view n) { return f.name < n; });
  if (file == files_.end() || file->name != name) return nullptr;
  return FindMapping(static_cast<size_t>(file - files_.begin()));
}

bool Model::deserves_retry() const {
  return std::any_of(problems_.begin(), problems_.end(), [](const Problem& problem) {
    return problem.reason == ErrorReason::kReadError;
  });
}

Model::SideFiles Model::FindSideFiles() const {
  SideFiles result;
  const auto is_side = [](const ScannedFile& file) {
    return file.details().fault.empty() && KindOf(file.name) != FileKind::kTensors;
  };
  const ptrdiff_t count =
      std::count_if(directory_->files.begin(), directory_->files.end(), is_side);
  const bool is_crowded = static_cast<size_t>(count) > kMaxSharedSideFiles;
  for (const ScannedFile& file : directory_->files) {
    if (!is_side(file) || (is_crowded && !IsNamedAfter(file.name, group_))) continue;
    std::string real_path = directory_->RealPathOf(file);
    const absl::StatusOr<FileIdentity> identity = root_->Identify(real_path);
    if (!identity.ok()) continue;
    result.listed.push_back({file.name, identity->size_bytes, file.details().sha256});
    result.real_paths.push_back(std::move(real_path));
  }
  return result;
}

const std::vector<SideFile>& Model::side_files() const {
  return side_files_.Get([this] { return FindSideFiles(); }).listed;
}

absl::StatusOr<std::shared_ptr<const ServedFile>> Model::MapFile(absl::string_view name,
                                                                 IsShown is_shown) const {
  const auto by_name = [](const auto& file, absl::string_view n) { return file.name < n; };
  const auto own = std::lower_bound(files_.begin(), files_.end(), name, by_name);
  if (own != files_.end() && own->name == name) {
    const auto index = static_cast<size_t>(own - files_.begin());
    const FileRecord& record = records_[index];
    // The original bytes of a file that is not served as tensors can be read all the same.
    if (record.problem && !record.real_path.empty()) return MapAsIs(record.real_path, name);
    return Map(index);
  }
  const SideFiles& side = side_files_.Get([this] { return FindSideFiles(); });
  const auto beside = std::lower_bound(side.listed.begin(), side.listed.end(), name, by_name);
  if (beside == side.listed.end() || beside->name != name || !is_shown(name)) {
    return FileNotFound(name, is_shown);
  }
  const auto index = static_cast<size_t>(beside - side.listed.begin());
  return MapAsIs(side.real_paths[index], name);
}

absl::Status Model::FileNotFound(absl::string_view name, IsShown is_shown) const {
  std::vector<absl::string_view> names;
  for (const ModelFile& file : files_) names.push_back(file.name);
  for (const SideFile& file : side_files()) {
    if (is_shown(file.name)) names.push_back(file.name);
  }
  std::sort(names.begin(), names.end());
  return MakeError(ErrorReason::kFileNotFound,
                   absl::StrCat("file ", Quote(name), " not in model ", Quote(id_),
                                ShowClosest(ClosestNames(name, names.size(), [&](size_t index) {
                                  return names[index];
                                }))));
}

uint64_t Model::memory_bytes() const {
  uint64_t bytes = sizeof(Model) + view_.size() * sizeof(TensorRef);
  for (const ModelFile& file : files_) {
    bytes += sizeof(ModelFile) + sizeof(FileRecord) + 4 * file.name.size() + file.sha256.size();
    if (file.header != nullptr) bytes += file.header->memory_bytes();
  }
  for (const FileRecord& record : records_) bytes += record.header_digest.size();
  for (const Refusal& refusal : refusals_) bytes += sizeof(Refusal) + refusal.name.size();
  return bytes;
}

}  // namespace tensord
