// A pattern of a request, which may be absent.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/error.h"
#include "src/glob.h"

namespace tensord {

// Without a pattern everything matches.
class OptionalGlob {
 public:
  // `field` names the pattern in errors: BAD_REQUEST for a malformed one.
  static absl::StatusOr<OptionalGlob> Parse(absl::string_view field, const std::string& pattern) {
    OptionalGlob result;
    if (pattern.empty()) return result;
    absl::StatusOr<Glob> glob = Glob::Parse(pattern);
    if (!glob.ok()) return Annotate(glob.status(), field);
    result.glob_ = *std::move(glob);
    return result;
  }

  bool Matches(absl::string_view name) const { return !glob_ || glob_->Matches(name); }

 private:
  OptionalGlob() = default;

  std::optional<Glob> glob_;
};

}  // namespace tensord
