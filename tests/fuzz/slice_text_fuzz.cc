// Any text is read or refused; what is read shows as a text that reads back equal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "src/error.h"
#include "tensord/slice.h"
#include "tests/src/slice_equal.h"

namespace {

void Check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto slice = tensord::Slice::Parse(text);
  if (!slice.ok()) {
    Check(tensord::ReasonOf(slice.status()) == tensord::ErrorReason::kBadSlice,
          "the reason is BAD_SLICE");
    const std::string position = tensord::ErrorDetails(slice.status()).at("position");
    Check(std::stoull(position) <= size, "the position lies in the text");
    Check(slice.status().message().size() < 1500, "the message is short");
    return 0;
  }
  Check(slice->dims.size() <= size, "entries are bounded by the text");
  // The spaces that are shown may exceed the limit of what is read.
  if (slice->ToString().size() > tensord::kMaxSliceTextBytes) return 0;
  const auto again = tensord::Slice::Parse(slice->ToString());
  Check(again.ok() && tensord::IsEqual(*slice, *again), "the shown text reads back equal");
  return 0;
}
