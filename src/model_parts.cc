#include "src/model_parts.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/parallel_for.h"
#include "src/status_macros.h"

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

bool IsYoung(int64_t mtime_ns) {
  const int64_t age_ns = NowNs() - mtime_ns;
  return age_ns < kYoungNs && age_ns > -kYoungNs;  // Some files are of the far future.
}

}  // namespace

class PartsReader {
 public:
  explicit PartsReader(const ModelSource& source) : source_(source) {}

  ModelParts Read(size_t num_threads) {
    ListParts();
    ParallelFor(num_threads, result_.parts.size(), [this](size_t index) { ReadPart(index); });
    LookAgainAtYoungFiles();
    for (ModelPart& part : result_.parts) Settle(part);
    return std::move(result_);
  }

 private:
  void ListParts();
  void ListIndexedParts(const ModelIndex& index);
  ModelPart PartOfIndexValue(const std::string& value) const;
  void AddPart(const ScannedFile& file);
  // Each thread writes a part of its own.
  void ReadPart(size_t index);
  bool TakeKnown(ModelPart& part) const;
  absl::StatusOr<SafetensorsFile> ReadHeader(ModelPart& part);
  void Settle(ModelPart& part) const;
  void LookAgainAtYoungFiles();

  const ModelSource& source_;
  ModelParts result_;
  std::atomic<size_t> num_mapped_ = 0;  // Of parts, the cache knows nothing of them yet.
};

void PartsReader::ListParts() {
  const FileGroup& group = source_.group;
  const std::vector<ScannedFile>& files = source_.directory->files;
  if (group.index_file) {
    result_.index = group.index != nullptr
                        ? group.index
                        : std::make_shared<const absl::StatusOr<ModelIndex>>(ReadModelIndex(
                              *source_.root, *source_.directory, files[*group.index_file]));
    if (result_.index->ok()) return ListIndexedParts(**result_.index);
  }
  for (const uint32_t file : group.files) AddPart(files[file]);
}

void PartsReader::AddPart(const ScannedFile& file) {
  ModelPart part;
  part.name = file.name;
  part.scanned = &file;
  part.fault = file.details().fault;
  if (file.details().is_missing) part.fault_reason = ErrorReason::kShardMissing;
  if (file.details().fault.empty()) part.real_path = source_.directory->RealPathOf(file);
  result_.parts.push_back(std::move(part));
}

ModelPart PartsReader::PartOfIndexValue(const std::string& value) const {
  ModelPart part;
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
  if (part.scanned == nullptr || !part.scanned->details().fault.empty()) {
    const bool is_missing = part.scanned == nullptr || part.scanned->details().is_missing;
    part.fault = part.scanned == nullptr ? "is missing" : part.scanned->details().fault;
    if (is_missing) part.fault_reason = ErrorReason::kShardMissing;
    return part;
  }
  part.real_path = directory->RealPathOf(*part.scanned);
  return part;
}

// Two spellings of one path, "./a" and "a", are one part.
void PartsReader::ListIndexedParts(const ModelIndex& index) {
  std::map<std::string, ModelPart> by_name;
  std::vector<std::string> names;
  for (const std::string& value : index.files()) {
    ModelPart part = PartOfIndexValue(value);
    names.push_back(part.name);
    by_name.try_emplace(part.name, std::move(part));
  }
  std::map<std::string, uint32_t> numbers;
  for (auto& [name, part] : by_name) {
    numbers[name] = static_cast<uint32_t>(result_.parts.size());
    result_.parts.push_back(std::move(part));
  }
  for (const std::string& name : names) result_.part_of_file.push_back(numbers[name]);
}

void PartsReader::ReadPart(size_t index) {
  ModelPart& part = result_.parts[index];
  if (!part.real_path.empty() && !TakeKnown(part)) part.file = ReadHeader(part);
}

bool PartsReader::TakeKnown(ModelPart& part) const {
  if (source_.former == nullptr) return false;
  std::optional<SafetensorsFile> known =
      source_.former->KnownFile(part.name, part.scanned->identity);
  if (!known) return false;
  part.file = *std::move(known);
  part.mapping = source_.former->KnownMapping(part.name);
  return true;
}

// The mapping is of the same open file: what is promised now can be sent though the file is
// replaced before anybody asks for it.
absl::StatusOr<SafetensorsFile> PartsReader::ReadHeader(ModelPart& part) {
  if (source_.num_headers_read != nullptr) ++*source_.num_headers_read;
  part.mapping = nullptr;
  TENSORD_ASSIGN_OR_RETURN(OwnedFd fd, source_.root->OpenFile(part.real_path));
  absl::StatusOr<SafetensorsFile> file = ReadSafetensorsFile(fd.get());
  if (!file.ok() || !source_.mappings->HasRoomAhead(num_mapped_)) return file;
  absl::StatusOr<std::shared_ptr<const ServedFile>> mapping =
      ServedFile::Open(std::move(fd), source_.read_mode, source_.closer);
  // Not the whole identity: a file that is replaced in between has another ctime, and is the one
  // that must be kept.
  if (mapping.ok() && CheckSameContent(file->identity, (*mapping)->identity()).ok()) {
    part.mapping = *std::move(mapping);
    ++num_mapped_;
  }
  return file;
}

void PartsReader::Settle(ModelPart& part) const {
  if (part.real_path.empty()) return;
  const FileIdentity& scanned = part.scanned->identity;
  part.is_gone = ReasonOf(part.file.status()) == ErrorReason::kFileNotFound;
  const bool is_as_scanned = part.file.ok()
                                 ? part.file->identity == scanned
                                 : ReasonOf(part.file.status()) != ErrorReason::kFileChanged;
  part.is_settled = !part.is_gone && is_as_scanned && !IsYoung(scanned.mtime_ns);
}

// Bounded: a file that is written all the time is refused until a later scan finds it at rest.
void PartsReader::LookAgainAtYoungFiles() {
  for (size_t i = 0; i < result_.parts.size(); ++i) {
    ModelPart& part = result_.parts[i];
    for (int look = 1; look <= kMaxLooks; ++look) {
      const bool is_changing = ReasonOf(part.file.status()) == ErrorReason::kFileChanged;
      const bool is_young = part.file.ok() && IsYoung(part.file->identity.mtime_ns);
      if (!is_young && !is_changing) break;
      const absl::StatusOr<FileIdentity> now = source_.root->Identify(part.real_path);
      if (part.file.ok() && now.ok() && *now == part.file->identity) break;
      if (look == kMaxLooks) {
        part.file = MakeError(ErrorReason::kFileChanged, "is being written");
        part.mapping = nullptr;
      } else {
        part.file = ReadHeader(part);
      }
    }
  }
}

absl::StatusOr<ModelIndex> ReadModelIndex(const StoreRoot& root, const ScannedDirectory& directory,
                                          const ScannedFile& file) {
  if (!file.details().fault.empty())
    return MakeError(ErrorReason::kFileInvalid, file.details().fault);
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

ModelParts ReadModelParts(const ModelSource& source, size_t num_threads) {
  return PartsReader(source).Read(num_threads);
}

}  // namespace tensord
