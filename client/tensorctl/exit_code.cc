#include "client/tensorctl/exit_code.h"

#include <cstddef>
#include <map>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/request_id.h"
#include "tensord/error_reason.h"

namespace tensord::ctl {
namespace {

constexpr absl::string_view kUsageUrl = "tensorctl/usage";

// The server speaks of fields, which have other names on our command line.
constexpr absl::string_view kWireAdvice = "set multiple, padded_size or allow_uneven";
constexpr absl::string_view kOurAdvice = "add ,multiple=M or ,padded=P or ,uneven to --shard";

// By which the server's log knows the call; nothing where no server was asked.
std::string RequestOf(const absl::Status& status) {
  const std::map<std::string, std::string> details = ErrorDetails(status);
  const auto id = details.find(kRequestIdDetail);
  return id == details.end() ? "" : absl::StrCat(" (request ", Escape(id->second), ")");
}

}  // namespace

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsageUrl, absl::Cord());
  return status;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kOk;
  if (status.GetPayload(kUsageUrl)) return ExitCode::kUsage;
  if (status.code() == absl::StatusCode::kUnavailable) return ExitCode::kUnavailable;
  if (status.code() == absl::StatusCode::kDeadlineExceeded) return ExitCode::kTimeout;
  return ExitCode::kFailed;
}

std::string ErrorName(const absl::Status& status) {
  const ErrorReason reason = ReasonOf(status);
  return reason == ErrorReason::kUnspecified ? absl::StatusCodeToString(status.code())
                                             : std::string(ErrorReasonName(reason));
}

std::string CleanMessage(absl::string_view message) {
  std::string out;
  while (!message.empty()) {
    const size_t backslash = message.find('\\');
    absl::StrAppend(&out, Escape(message.substr(0, backslash)));
    if (backslash == absl::string_view::npos) break;
    out += '\\';
    message.remove_prefix(backslash + 1);
  }
  return out;
}

std::string ErrorText(const absl::Status& status) {
  std::string message = CleanMessage(status.message());
  if (ReasonOf(status) == ErrorReason::kUnevenShard) {
    absl::StrReplaceAll({{kWireAdvice, kOurAdvice}}, &message);
  }
  if (status.GetPayload(kUsageUrl)) return message;
  return absl::StrCat(ErrorName(status), ": ", message, RequestOf(status));
}

}  // namespace tensord::ctl
