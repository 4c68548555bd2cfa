// The first step of every call on a model.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/catalog.h"

namespace tensord {

// The model that `name` means now, if it has `version` or `version` is empty. Errors:
// MODEL_NOT_FOUND, AMBIGUOUS_MODEL; VERSION_CHANGED naming both versions.
absl::StatusOr<std::shared_ptr<const Model>> FindModel(const Catalog& catalog,
                                                       absl::string_view name,
                                                       absl::string_view version);

}  // namespace tensord
