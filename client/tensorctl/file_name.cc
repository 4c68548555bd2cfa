#include "client/tensorctl/file_name.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "src/escape.h"

namespace tensord::ctl {

absl::Status CheckFileName(absl::string_view name) {
  bool ok = name.find('\0') == absl::string_view::npos;
  for (const absl::string_view part : absl::StrSplit(name, '/')) {
    ok = ok && !part.empty() && part != "." && part != "..";
  }
  if (ok) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the model has a file ", Quote(name),
                   ", which would be written outside of the directory; nothing written"));
}

}  // namespace tensord::ctl
