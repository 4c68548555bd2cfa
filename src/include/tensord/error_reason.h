// Why a call failed, in a form that programs can act on. The list is the wire's
// (`tensord.v1.ErrorReason`).
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tensord {

enum class ErrorReason : int {
  kUnspecified = 0,
  kModelNotFound = 1,
  kTensorNotFound = 2,
  kFileNotFound = 3,
  kBadRequest = 4,
  kUnknownField = 5,
  kBadSlice = 6,
  kUnevenShard = 7,
  kBadPageToken = 8,
  kIndexOutOfBounds = 9,
  kRangeOutOfBounds = 10,
  kAmbiguousModel = 11,
  kVersionChanged = 12,
  kFileInvalid = 13,
  kShardMissing = 14,
  kFileChanged = 15,
  kReadError = 16,
  kTooManyStreams = 17,
  kOutOfBuffers = 18,
  kStarting = 19,
  kDraining = 20,
  kStalled = 21,
  kUnauthenticated = 22,
  kPermissionDenied = 23,
};

inline constexpr int kNumErrorReasons = 24;

// As on the wire, e.g. "MODEL_NOT_FOUND".
absl::string_view ErrorReasonName(ErrorReason reason);

// kUnspecified where `status` carries none: it is OK, or an error of gRPC itself.
ErrorReason ReasonOf(const absl::Status& status);

}  // namespace tensord
