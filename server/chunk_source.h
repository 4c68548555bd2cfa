// The one gate between a stream and a file's bytes.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/served_file.h"

namespace tensord {

// Bytes of a file.
struct FileRange {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

// Must succeed before `ranges` of `file` are read or handed to the network. Every path to a file's
// bytes asks here, so that protection against broken files has one place to grow in. May wait for
// the file system. Errors: FILE_CHANGED when the file is not what it was when it was opened, or
// ends before a range; READ_ERROR.
absl::Status PrepareToRead(const ServedFile& file, absl::Span<const FileRange> ranges);

// Must succeed after the bytes were copied or touched, and again after they have left, before
// anybody is told that they are right. Errors: as PrepareToRead.
absl::Status ConfirmRead(const ServedFile& file);

}  // namespace tensord
