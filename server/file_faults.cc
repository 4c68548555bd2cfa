#include "server/file_faults.h"

#include <optional>

#include "src/error.h"
#include "src/fault_guard.h"
#include "src/file_identity.h"

namespace tensord {
namespace {

std::optional<FileFault::Kind> KindOf(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case ErrorReason::kReadError:
      return FileFault::Kind::kIoError;
    case ErrorReason::kFileChanged:
      return IsTruncation(status) ? FileFault::Kind::kTruncated : FileFault::Kind::kChanged;
    default:
      return std::nullopt;
  }
}

}  // namespace

absl::string_view FileFaultKindName(FileFault::Kind kind) {
  switch (kind) {
    case FileFault::Kind::kTruncated:
      return "truncated";
    case FileFault::Kind::kIoError:
      return "io_error";
    case FileFault::Kind::kChanged:
      break;
  }
  return "changed";
}

void FileFaults::Report(absl::string_view model, absl::string_view file,
                        const absl::Status& status) {
  const std::optional<FileFault::Kind> kind = KindOf(status);
  if (!kind) return;
  switch (*kind) {
    case FileFault::Kind::kTruncated:
      ++num_truncated_;
      break;
    case FileFault::Kind::kIoError:
      ++num_io_errors_;
      break;
    case FileFault::Kind::kChanged:
      ++num_changed_;
      break;
  }
  if (!observer_) return;
  observer_({*kind, std::string(model), std::string(file), std::string(status.message())});
}

FileFaults::Counts FileFaults::counts() const {
  return {num_truncated_, num_io_errors_, num_changed_, NumGuardedFaults()};
}

}  // namespace tensord
