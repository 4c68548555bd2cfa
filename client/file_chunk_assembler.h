// Hands a stream of FileChunks on to a sink, and believes nothing that it can check.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/file_chunk_decoder.h"
#include "client/piece_cursor.h"
#include "tensord/file_sink.h"
#include "tensord/read_request.h"

namespace tensord {

// What the stream was asked for.
struct FileExpectation {
  std::string file;
  std::string version;  // Empty: any.
  ByteRange range;
  bool checksum = false;                  // All data must carry one.
  std::optional<FileStreamInfo> same_as;  // What a stream said that this one resumes.
};

// All errors are DATA_LOSS and say what, got and wanted, besides those of the sink, and besides
// VERSION_CHANGED where the file is not the one that the resumed stream had. Used by one thread.
class FileChunkAssembler {
 public:
  // `sink` must outlive the assembler.
  FileChunkAssembler(FileExpectation expectation, const FileSink& sink);

  // Takes one message; `message` is borrowed for the call. After an error, call nothing else.
  absl::Status Add(PieceCursor message);

  // To be called at the end of a stream with status OK: nothing may be missing.
  absl::StatusOr<FileStreamInfo> Finish() const;

  // Of the stream; nullopt before its first message.
  const std::optional<FileStreamInfo>& info() const { return info_; }

  // Where the file goes on: what stands before has been handed to the sink.
  uint64_t next_offset() const { return next_offset_; }

 private:
  absl::Status AddInfo(const FileStreamInfo& info);
  absl::Status CheckPlace(const FileChunkFields& fields) const;

  const FileExpectation expectation_;
  const FileSink& sink_;
  std::optional<FileStreamInfo> info_;
  uint64_t next_offset_ = 0;  // In the file.
  uint64_t end_ = 0;          // Of the range.
};

}  // namespace tensord
