// Reads and validates what stands before the data of one safetensors file.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "src/safetensors_header.h"
#include "src/served_file.h"

namespace tensord {

// What one look at a file says. All of it is of the same moment.
struct SafetensorsFile {
  std::shared_ptr<const SafetensorsHeader> header;
  FileIdentity identity;
  // SHA-256 of the 8 bytes of length and the JSON behind them, as 64 lower-case hex digits.
  std::string header_digest;
};

// Reads the header of the open file `fd`, which stays the caller's, and whose position does not
// move. Memory is bounded by the file's size and kMaxHeaderBytes before anything is allocated.
// Messages do not name the file: the caller knows. Errors: FILE_INVALID with "variant" for what
// the format forbids, and without for anything but a regular file; FILE_CHANGED when the file
// changes under the reading; READ_ERROR when it cannot be read.
absl::StatusOr<SafetensorsFile> ReadSafetensorsFile(int fd);

// The same for a path, which may be a FIFO, a device or anything: it does not block on those.
// Errors as above; FILE_NOT_FOUND when there is none; READ_ERROR when it cannot be opened.
absl::StatusOr<SafetensorsFile> OpenSafetensorsFile(const std::string& path);

}  // namespace tensord
