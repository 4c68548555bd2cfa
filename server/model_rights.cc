#include "server/model_rights.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// What follows a directory's name in the ids of its models: a name in it, or a commit.
constexpr char kBelow[] = "{,/*,@*}";

}  // namespace

ModelRights ModelRights::Everything() {
  ModelRights rights;
  rights.is_everything_ = true;
  return rights;
}

absl::Status ModelRights::Add(absl::string_view pattern) {
  TENSORD_RETURN_IF_ERROR(Glob::Parse(pattern).status());  // Alone, so that errors are about it.
  TENSORD_ASSIGN_OR_RETURN(Glob glob, Glob::Parse(absl::StrCat(pattern, kBelow)));
  patterns_.push_back(std::move(glob));
  return absl::OkStatus();
}

bool ModelRights::Allow(absl::string_view name) const {
  return is_everything_ || std::any_of(patterns_.begin(), patterns_.end(),
                                       [&](const Glob& glob) { return glob.Matches(name); });
}

}  // namespace tensord
