#include "server/model_files.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"

namespace tensord {

ModelFiles::ModelFiles(std::shared_ptr<const Model> model, FileFaults* faults)
    : model_(std::move(model)), faults_(faults), files_(model_->files().size()) {}

const ServedFile* ModelFiles::TryOpen(size_t file) {
  if (files_[file].opened == nullptr) files_[file].opened = model_->FindMapped(file);
  return files_[file].opened.get();
}

bool ModelFiles::Prepare(size_t file, absl::Span<const FileRange> ranges) {
  if (!files_[file].status.ok()) return false;
  if (files_[file].opened == nullptr) {
    absl::StatusOr<std::shared_ptr<const ServedFile>> opened = model_->Map(file);
    if (!opened.ok()) return Note(file, opened.status());
    files_[file].opened = *std::move(opened);
  }
  return Note(file, PrepareToRead(*files_[file].opened, ranges));
}

bool ModelFiles::Confirm(size_t file) {
  return files_[file].status.ok() && Note(file, ConfirmRead(*files_[file].opened));
}

absl::Status ModelFiles::ConfirmMapped() {
  for (size_t file = 0; file < files_.size(); ++file) {
    const ServedFile* const opened = files_[file].opened.get();
    if (opened != nullptr && opened->is_mapped() && !Confirm(file)) return files_[file].status;
  }
  return absl::OkStatus();
}

std::optional<FilePlace> ModelFiles::ConfirmWaitsFor() const {
  for (const File& file : files_) {
    if (file.opened == nullptr || !file.opened->is_mapped() || !file.opened->is_remote()) continue;
    return PlaceOf(file.opened->identity());
  }
  return std::nullopt;
}

bool ModelFiles::Note(size_t file, const absl::Status& status) {
  if (status.ok()) return true;
  const std::string& name = model_->files()[file].name;
  files_[file].status = Annotate(status, absl::StrCat("file ", Quote(name)));
  if (faults_ != nullptr) faults_->Report(model_->id(), name, status);
  return false;
}

}  // namespace tensord
