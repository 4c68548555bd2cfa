// Statuses that carry a reason and details, to be translated to google.rpc.ErrorInfo at the rim.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tensord/error_reason.h"

namespace tensord {

// An error of `reason`; the status code follows from it (DESIGN.md section 5), e.g. NOT_FOUND for
// kModelNotFound. `details` become ErrorInfo.metadata. `message` says what, where, got and wanted;
// names from files are escaped first.
absl::Status MakeError(ErrorReason reason, absl::string_view message,
                       const std::map<std::string, std::string>& details = {});

// The status code that errors of `reason` have.
absl::StatusCode CodeOf(ErrorReason reason);

// kUnspecified for a name that is not in the list.
ErrorReason ParseErrorReason(absl::string_view name);

// What MakeError was given as `details`; empty for any other status.
std::map<std::string, std::string> ErrorDetails(const absl::Status& status);

// Adds one detail to an error, also to one without a reason; replaces a detail of the same key. OK
// stays OK.
void SetErrorDetail(absl::Status& status, absl::string_view key, absl::string_view value);

// The same status with `prefix` and ": " before its message. OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view prefix);

}  // namespace tensord
