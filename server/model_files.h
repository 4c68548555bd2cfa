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

// Opens a model's files as a stream comes to them, lets go of them behind it, and remembers which
// of them have failed. Errors name the file. Not thread-safe.
class ModelFiles {
 public:
  // A stream over a checkpoint of a thousand shards holds no more of them than a message needs, and
  // those that the network still reads; the catalog keeps what is used often.
  static constexpr size_t kMaxPerMessage = 16;
  static constexpr size_t kMaxOpen = kMaxPerMessage;

  // `faults` is told of each file that fails, once; it may be null, else must outlive this.
  ModelFiles(std::shared_ptr<const Model> model, FileFaults* faults);

  // Not OK once anything about `file` failed: then for good.
  const absl::Status& status(size_t file) const { return files_[file].status; }

  // From here on another message is put together: the files of the one before may be let go.
  void BeginMessage();

  // Whether `file` may be read for this message: false when it needs kMaxPerMessage others already.
  bool Admit(size_t file);

  // The file if it is open, or can be had without waiting; else null. Admitted, as all below.
  const ServedFile* TryOpen(size_t file);

  // Opens the file if need be, which may wait, and asks PrepareToRead for all of `ranges`. False:
  // see status(file).
  bool Prepare(size_t file, absl::Span<const FileRange> ranges);

  // False when the file is not what it was: see status(file).
  bool Confirm(size_t file);

  // Remembers that `file` has failed if `status` says so; returns status.ok().
  bool Note(size_t file, const absl::Status& status);

  // Of a file that was prepared. The file stays open as long as a copy of this lives.
  const std::shared_ptr<const ServedFile>& opened(size_t file) const { return files_[file].opened; }

  // Whether the bytes lie in memory; presumed so until the file is opened.
  bool is_mapped(size_t file) const { return files_[file].is_mapped; }

  // Confirms every mapped file that was opened; the first error. What was read has been confirmed
  // when it was.
  absl::Status ConfirmMapped();
  // Where that has to wait for another machine, if it has to.
  std::optional<FilePlace> ConfirmWaitsFor() const;

 private:
  struct File {
    // Null while it is not open. Counts the owners within this stream only, so that one means that
    // no slice of it waits for the network.
    std::shared_ptr<const ServedFile> opened;
    absl::Status status;
    uint64_t message = 0;  // Which one needed it last.
    bool is_mapped = true;
  };

  void Hold(size_t file, std::shared_ptr<const ServedFile> opened);
  void LetGo();
  bool MayLetGo(const File& file) const;
  // Remembers `told` for the client, reports the fault; returns false.
  bool Fail(size_t file, const absl::Status& fault, absl::Status told);

  const std::shared_ptr<const Model> model_;
  FileFaults* const faults_;
  std::vector<File> files_;   // As Model::files.
  std::vector<size_t> open_;  // Of these, as they were opened.
  uint64_t message_ = 0;
  size_t num_in_message_ = 0;
  absl::Status late_failure_;  // Of the first file that was not what it had been when let go.
};

}  // namespace tensord
