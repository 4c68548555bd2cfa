#include "client/batch_request.h"

#include "src/status_macros.h"

namespace tensord {
namespace {

constexpr size_t kFieldBytes = 6;  // A tag of one byte and a length of at most five.

}  // namespace

absl::StatusOr<size_t> AppendSelections(
    size_t begin, size_t end, absl::FunctionRef<absl::Status(size_t, v1::Selection&)> make,
    v1::GetTensorsRequest& request) {
  size_t bytes = request.ByteSizeLong();
  for (size_t i = begin; i < end; ++i) {
    v1::Selection& selection = *request.add_selections();
    TENSORD_RETURN_IF_ERROR(make(i, selection));
    bytes += selection.ByteSizeLong() + kFieldBytes;
    if (bytes >= kMaxRequestBytes && i > begin) {
      request.mutable_selections()->RemoveLast();
      return i - begin;
    }
  }
  return end - begin;
}

}  // namespace tensord
