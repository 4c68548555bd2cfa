#include "src/format_error.h"

#include <array>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "src/error.h"

namespace tensord {
namespace {

constexpr std::array<absl::string_view, 10> kNames = {
    "HeaderTooSmall",
    "HeaderTooLarge",
    "InvalidHeaderLength",
    "InvalidHeader",
    "InvalidHeaderDeserialization",
    "InvalidOffset",
    "ValidationOverflow",
    "MisalignedSlice",
    "TensorInvalidInfo",
    "MetadataIncompleteBuffer",
};

}  // namespace

absl::string_view FormatRuleName(FormatRule rule) { return kNames[static_cast<size_t>(rule)]; }

absl::Status FormatError(FormatRule rule, absl::string_view message) {
  const absl::string_view name = FormatRuleName(rule);
  return MakeError(ErrorReason::kFileInvalid, absl::StrCat(name, ": ", message),
                   {{"variant", std::string(name)}});
}

}  // namespace tensord
