// What can be wrong with a safetensors file, by the names that the reference implementation uses.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tensord {

// The reference's error variants, in the order of its checks.
enum class FormatRule {
  kHeaderTooSmall,
  kHeaderTooLarge,
  kInvalidHeaderLength,
  kInvalidHeader,
  kInvalidHeaderDeserialization,
  kInvalidOffset,
  kValidationOverflow,
  kMisalignedSlice,
  kTensorInvalidInfo,
  kMetadataIncompleteBuffer,
};

// As the reference spells it, e.g. "HeaderTooSmall". Lives for ever.
absl::string_view FormatRuleName(FormatRule rule);

// FILE_INVALID with detail "variant" = the rule's name, which also opens the message.
absl::Status FormatError(FormatRule rule, absl::string_view message);

}  // namespace tensord
