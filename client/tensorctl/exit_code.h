// What the process tells its caller: exit codes, and errors in words.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tensord::ctl {

// The contract with scripts; --help shows it.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,       // What was asked failed: bad file, unknown model or tensor, bad slice, disk.
  kUsage = 2,        // The command line is wrong; nothing was tried.
  kUnavailable = 3,  // The server cannot be reached, or does not serve now.
  kTimeout = 4,      // --timeout ended the command.
};

// Of `probe`, by which whoever uses grpc-health-probe can use it instead. 0: serving.
enum class ProbeExit : int { kUsage = 1, kNoConnection = 2, kCallFailed = 3, kNotServing = 4 };

// An error whose exit code is kUsage.
absl::Status UsageError(absl::string_view message);

// Of an error; kOk for OK.
ExitCode ExitCodeOf(const absl::Status& status);

// "TENSOR_NOT_FOUND", or the status code's name where there is no reason, e.g. "UNAVAILABLE".
std::string ErrorName(const absl::Status& status);

// `message` as one line without control bytes, whatever a server sent. Text that is escaped already
// stays as it is.
std::string CleanMessage(absl::string_view message);

// "TENSOR_NOT_FOUND: tensor \"x\" not in ...": name and message; of a usage error the message
// alone. One line without control bytes, whatever a server sent.
std::string ErrorText(const absl::Status& status);

}  // namespace tensord::ctl
