#include "server/model_files.h"

#include <atomic>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"

namespace tensord {

ModelFiles::ModelFiles(std::shared_ptr<const Model> model, FileFaults* faults)
    : model_(std::move(model)), faults_(faults), files_(model_->files().size()) {}

void ModelFiles::BeginMessage() {
  ++message_;
  num_in_message_ = 0;
}

bool ModelFiles::Admit(size_t file) {
  if (files_[file].message == message_) return true;
  if (num_in_message_ == kMaxPerMessage) return false;
  ++num_in_message_;
  files_[file].message = message_;
  return true;
}

const ServedFile* ModelFiles::TryOpen(size_t file) {
  if (files_[file].opened == nullptr) Hold(file, model_->FindMapped(file));
  return files_[file].opened.get();
}

bool ModelFiles::Prepare(size_t file, absl::Span<const FileRange> ranges) {
  if (!files_[file].status.ok()) return false;
  if (files_[file].opened == nullptr) {
    absl::StatusOr<std::shared_ptr<const ServedFile>> opened = model_->Map(file);
    if (!opened.ok()) return Fail(file, opened.status(), opened.status());
    Hold(file, *std::move(opened));
  }
  return Note(file, PrepareToRead(*files_[file].opened, ranges));
}

bool ModelFiles::Confirm(size_t file) {
  return files_[file].status.ok() && Note(file, ConfirmRead(*files_[file].opened));
}

void ModelFiles::Hold(size_t file, std::shared_ptr<const ServedFile> opened) {
  if (opened == nullptr) return;
  const ServedFile* const served = opened.get();
  files_[file].is_mapped = served->is_mapped();
  files_[file].opened = std::shared_ptr<const ServedFile>(
      served, [kept = std::move(opened)](const ServedFile*) { /* `kept` goes with this. */ });
  open_.push_back(file);
  if (open_.size() > kMaxOpen) LetGo();
}

// What leaves a mapping is right only if the file is still the same when all of it has left.
void ModelFiles::LetGo() {
  size_t num_kept = 0;
  for (size_t i = 0; i < open_.size(); ++i) {
    const size_t file = open_[i];
    const size_t num_left = open_.size() - i;
    if (num_kept + num_left <= kMaxOpen || !MayLetGo(files_[file])) {
      open_[num_kept++] = file;
      continue;
    }
    if (files_[file].is_mapped && !Confirm(file) && late_failure_.ok()) {
      late_failure_ = files_[file].status;
    }
    files_[file].opened = nullptr;
  }
  open_.resize(num_kept);
}

bool ModelFiles::MayLetGo(const File& file) const {
  if (file.message == message_ || file.opened.use_count() > 1) return false;
  // Pairs with the release of the last slice: the network has read it before the file is confirmed.
  std::atomic_thread_fence(std::memory_order_acquire);
  // Such a mapping is confirmed in the end, where that may wait.
  return !file.is_mapped || !file.opened->is_remote();
}

absl::Status ModelFiles::ConfirmMapped() {
  if (!late_failure_.ok()) return late_failure_;
  for (const size_t file : open_) {
    if (files_[file].is_mapped && !Confirm(file)) return files_[file].status;
  }
  return absl::OkStatus();
}

std::optional<FilePlace> ModelFiles::ConfirmWaitsFor() const {
  for (const size_t file : open_) {
    const ServedFile& opened = *files_[file].opened;
    if (opened.is_mapped() && opened.is_remote()) return PlaceOf(opened.identity());
  }
  return std::nullopt;
}

bool ModelFiles::Note(size_t file, const absl::Status& status) {
  if (status.ok()) return true;
  const std::string what = absl::StrCat("file ", Quote(model_->files()[file].name));
  return Fail(file, status, Annotate(status, what));
}

bool ModelFiles::Fail(size_t file, const absl::Status& fault, absl::Status told) {
  files_[file].status = std::move(told);
  if (faults_ != nullptr) faults_->Report(model_->id(), model_->files()[file].name, fault);
  return false;
}

}  // namespace tensord
