// The first step of every call on a model.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/catalog_view.h"

namespace tensord {

// The model that `name` means now, if it has `version` or `version` is empty. Errors:
// PERMISSION_DENIED, MODEL_NOT_FOUND, AMBIGUOUS_MODEL; VERSION_CHANGED naming both versions.
absl::StatusOr<std::shared_ptr<const Model>> FindModel(const CatalogView& catalog,
                                                       absl::string_view name,
                                                       absl::string_view version);

}  // namespace tensord
