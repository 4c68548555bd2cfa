#include "src/error.h"

#include <array>
#include <cstddef>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace tensord {
namespace {

constexpr absl::string_view kReasonUrl = "tensord/reason";
constexpr absl::string_view kDetailPrefix = "tensord/detail/";

struct ReasonRow {
  absl::string_view name;
  absl::StatusCode code;
};

using Code = absl::StatusCode;
constexpr std::array<ReasonRow, kNumErrorReasons> kRows = {{
    {"ERROR_REASON_UNSPECIFIED", Code::kInternal},
    {"MODEL_NOT_FOUND", Code::kNotFound},
    {"TENSOR_NOT_FOUND", Code::kNotFound},
    {"FILE_NOT_FOUND", Code::kNotFound},
    {"BAD_REQUEST", Code::kInvalidArgument},
    {"UNKNOWN_FIELD", Code::kInvalidArgument},
    {"BAD_SLICE", Code::kInvalidArgument},
    {"UNEVEN_SHARD", Code::kInvalidArgument},
    {"BAD_PAGE_TOKEN", Code::kInvalidArgument},
    {"INDEX_OUT_OF_BOUNDS", Code::kOutOfRange},
    {"RANGE_OUT_OF_BOUNDS", Code::kOutOfRange},
    {"AMBIGUOUS_MODEL", Code::kFailedPrecondition},
    {"VERSION_CHANGED", Code::kFailedPrecondition},
    {"FILE_INVALID", Code::kFailedPrecondition},
    {"SHARD_MISSING", Code::kFailedPrecondition},
    {"FILE_CHANGED", Code::kDataLoss},
    {"READ_ERROR", Code::kDataLoss},
    {"TOO_MANY_STREAMS", Code::kResourceExhausted},
    {"OUT_OF_BUFFERS", Code::kResourceExhausted},
    {"STARTING", Code::kUnavailable},
    {"DRAINING", Code::kUnavailable},
    {"STALLED", Code::kAborted},
    {"UNAUTHENTICATED", Code::kUnauthenticated},
    {"PERMISSION_DENIED", Code::kPermissionDenied},
}};

const ReasonRow& Row(ErrorReason reason) { return kRows[static_cast<size_t>(reason)]; }

}  // namespace

absl::string_view ErrorReasonName(ErrorReason reason) { return Row(reason).name; }

absl::StatusCode CodeOf(ErrorReason reason) { return Row(reason).code; }

ErrorReason ParseErrorReason(absl::string_view name) {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<ErrorReason>(i);
  }
  return ErrorReason::kUnspecified;
}

ErrorReason ReasonOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kReasonUrl);
  return payload ? ParseErrorReason(std::string(*payload)) : ErrorReason::kUnspecified;
}

absl::Status MakeError(ErrorReason reason, absl::string_view message,
                       const std::map<std::string, std::string>& details) {
  absl::Status status(CodeOf(reason), message);
  status.SetPayload(kReasonUrl, absl::Cord(ErrorReasonName(reason)));
  for (const auto& [key, value] : details) {
    SetErrorDetail(status, key, value);
  }
  return status;
}

void SetErrorDetail(absl::Status& status, absl::string_view key, absl::string_view value) {
  status.SetPayload(absl::StrCat(kDetailPrefix, key), absl::Cord(value));
}

std::map<std::string, std::string> ErrorDetails(const absl::Status& status) {
  std::map<std::string, std::string> details;
  status.ForEachPayload([&details](absl::string_view url, const absl::Cord& value) {
    if (absl::ConsumePrefix(&url, kDetailPrefix)) details[std::string(url)] = std::string(value);
  });
  return details;
}

absl::Status Annotate(const absl::Status& status, absl::string_view prefix) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(prefix, ": ", status.message()));
  status.ForEachPayload([&annotated](absl::string_view url, const absl::Cord& value) {
    annotated.SetPayload(url, value);
  });
  return annotated;
}

}  // namespace tensord
