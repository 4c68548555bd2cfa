#include "server/model_files.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"

namespace tensord {

ModelFiles::ModelFiles(std::shared_ptr<const Model> model)
    : model_(std::move(model)), files_(model_->files().size()) {}

bool ModelFiles::Prepare(size_t file, absl::Span<const FileRange> ranges) {
  if (!files_[file].status.ok()) return false;
  if (files_[file].mapping == nullptr) {
    absl::StatusOr<std::shared_ptr<const ServedFile>> mapping = model_->Map(file);
    if (!mapping.ok()) return Note(file, mapping.status());
    files_[file].mapping = *std::move(mapping);
  }
  return Note(file, PrepareToRead(*files_[file].mapping, ranges));
}

bool ModelFiles::Confirm(size_t file) {
  return files_[file].status.ok() && Note(file, ConfirmRead(*files_[file].mapping));
}

absl::Status ModelFiles::ConfirmAll() {
  for (size_t file = 0; file < files_.size(); ++file) {
    if (files_[file].mapping != nullptr && !Confirm(file)) return files_[file].status;
  }
  return absl::OkStatus();
}

bool ModelFiles::Note(size_t file, const absl::Status& status) {
  if (!status.ok()) {
    const std::string& name = model_->files()[file].name;
    files_[file].status = Annotate(status, absl::StrCat("file ", Quote(name)));
  }
  return status.ok();
}

}  // namespace tensord
