// A file that appears under its name only when it is complete.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord::ctl {

// Writes PATH.partial and renames it to PATH on Commit; until then an older PATH stays as it is.
// Destroyed without Commit, the partial file is removed; a killed process leaves it behind. Errors
// name the path, escaped. Only moves.
class OutputFile {
 public:
  // Takes over a partial file that nobody writes any more. Errors: FAILED_PRECONDITION where PATH
  // is something else than a regular file; ABORTED where another process writes it.
  static absl::StatusOr<OutputFile> Create(const std::string& path);

  // The same, but keeps what a partial file holds, to be written on behind it; and without Commit
  // the partial file stays, unless it is empty.
  static absl::StatusOr<OutputFile> Resume(const std::string& path);

  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  absl::Status Write(absl::string_view bytes);

  absl::Status Commit();

  // Of a resumed file: how much it holds, the first bytes of it, and a way to begin anew.
  absl::StatusOr<uint64_t> Size() const;
  absl::Status ReadBack(uint64_t size_bytes,
                        absl::FunctionRef<void(absl::string_view bytes)> take) const;
  absl::Status Clear();

 private:
  OutputFile(std::string path, int fd, bool is_kept);
  static absl::StatusOr<OutputFile> Open(const std::string& path, bool is_kept);

  std::string path_;
  bool is_kept_;
  int fd_;  // -1: moved from, or committed.
};

// Where the bytes of PATH are until it is complete.
std::string PartialPath(const std::string& path);

// Writes all of `bytes`; `name` is what an error calls `fd`.
absl::Status WriteAll(int fd, absl::string_view bytes, absl::string_view name);

}  // namespace tensord::ctl
