// The files that one stream reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/chunk_source.h"
#include "src/model.h"
#include "src/served_file.h"

namespace tensord {

// Opens a model's files as a stream comes to them, and remembers which of them have failed. Errors
// name the file. Not thread-safe.
class ModelFiles {
 public:
  explicit ModelFiles(std::shared_ptr<const Model> model);

  // Not OK once anything about `file` failed: then for good.
  const absl::Status& status(size_t file) const { return files_[file].status; }

  // Opens the file if need be and asks PrepareToRead for all of `ranges`. False: see status(file).
  bool Prepare(size_t file, absl::Span<const FileRange> ranges);

  // False when the file is not what it was: see status(file).
  bool Confirm(size_t file);

  // Of a file that was prepared.
  const std::shared_ptr<const ServedFile>& mapping(size_t file) const {
    return files_[file].mapping;
  }

  // Confirms every file that was opened and has not failed; the first error.
  absl::Status ConfirmAll();

 private:
  struct File {
    std::shared_ptr<const ServedFile> mapping;  // Null until the file is opened.
    absl::Status status;
  };

  // Remembers a failure.
  bool Note(size_t file, const absl::Status& status);

  const std::shared_ptr<const Model> model_;
  std::vector<File> files_;  // As Model::files.
};

}  // namespace tensord
