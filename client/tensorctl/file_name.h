// Names of files as a server sends them: not to be trusted with paths.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tensord::ctl {

// OK when `name` leads to a file below the directory it is appended to: relative, no empty, "." or
// ".." part, no NUL. Else FAILED_PRECONDITION naming it: a model's index may name such a file.
absl::Status CheckFileName(absl::string_view name);

}  // namespace tensord::ctl
