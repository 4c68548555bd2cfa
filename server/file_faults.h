// Counts files that broke while they were served, and tells of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tensord {

// What happened to a file, seen by one call.
struct FileFault {
  enum class Kind {
    kTruncated,  // It is shorter than it was.
    kIoError,    // The system could not read it.
    kChanged,    // It was written to, replaced or removed.
  };

  Kind kind = Kind::kChanged;
  std::string model;  // Canonical id.
  std::string file;   // Relative to the model's directory.
  std::string message;
};

// As metrics call it.
absl::string_view FileFaultKindName(FileFault::Kind kind);

// Thread-safe.
class FileFaults {
 public:
  // Called for each fault, by whichever thread met it; must be quick.
  using Observer = std::function<void(const FileFault&)>;

  struct Counts {
    uint64_t num_truncated = 0;
    uint64_t num_io_errors = 0;
    uint64_t num_changed = 0;
    uint64_t num_sigbus = 0;  // Lost pages that were touched, in the whole process.
  };

  explicit FileFaults(Observer observer) : observer_(std::move(observer)) {}

  // A call cannot go on with `file` of `model` because of `status`. Does nothing for what is no
  // fault of a file.
  void Report(absl::string_view model, absl::string_view file, const absl::Status& status);

  Counts counts() const;

 private:
  const Observer observer_;
  std::atomic<uint64_t> num_truncated_ = 0;
  std::atomic<uint64_t> num_io_errors_ = 0;
  std::atomic<uint64_t> num_changed_ = 0;
};

}  // namespace tensord
