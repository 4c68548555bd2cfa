#include "server/chunk_source.h"

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {

absl::Status PrepareToRead(const ServedFile& file, absl::Span<const FileRange> ranges) {
  TENSORD_RETURN_IF_ERROR(file.CheckUnchanged());
  const uint64_t size = file.size_bytes();
  for (const FileRange& range : ranges) {
    if (range.offset_bytes > size || range.size_bytes > size - range.offset_bytes) {
      return MakeError(ErrorReason::kFileChanged,
                       absl::StrCat("the file has ", size, " bytes, wanted ", range.size_bytes,
                                    " at ", range.offset_bytes));
    }
  }
  return absl::OkStatus();
}

absl::Status ConfirmRead(const ServedFile& file) { return file.CheckUnchanged(); }

}  // namespace tensord
