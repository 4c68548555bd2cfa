// The files that one stream reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/chunk_source.h"
#include "server/file_faults.h"
#include "src/model.h"
#include "src/served_file.h"

namespace tensord {

// Opens a model's files as a stream comes to them, and remembers which of them have failed. Errors
// name the file. Not thread-safe.
class ModelFiles {
 public:
  // `faults` is told of each file that fails, once; it may be null, else must outlive this.
  ModelFiles(std::shared_ptr<const Model> model, FileFaults* faults);

  // Not OK once anything about `file` failed: then for good.
  const absl::Status& status(size_t file) const { return files_[file].status; }

  // The file if it is open, or can be had without waiting; else null.
  const ServedFile* TryOpen(size_t file);

  // Opens the file if need be, which may wait, and asks PrepareToRead for all of `ranges`. False:
  // see status(file).
  bool Prepare(size_t file, absl::Span<const FileRange> ranges);

  // False when the file is not what it was: see status(file).
  bool Confirm(size_t file);

  // Remembers that `file` has failed if `status` says so; returns status.ok().
  bool Note(size_t file, const absl::Status& status);

  // Of a file that was prepared.
  const std::shared_ptr<const ServedFile>& opened(size_t file) const { return files_[file].opened; }

  // Whether the bytes lie in memory; presumed so until the file is opened.
  bool is_mapped(size_t file) const {
    return files_[file].opened == nullptr || files_[file].opened->is_mapped();
  }

  // Confirms every mapped file that was opened and has not failed; the first error. What was read
  // has been confirmed when it was.
  absl::Status ConfirmMapped();
  // Where that has to wait for another machine, if it has to.
  std::optional<FilePlace> ConfirmWaitsFor() const;

 private:
  struct File {
    std::shared_ptr<const ServedFile> opened;  // Null until then.
    absl::Status status;
  };

  const std::shared_ptr<const Model> model_;
  FileFaults* const faults_;
  std::vector<File> files_;  // As Model::files.
};

}  // namespace tensord
