#include "server/find_model.h"

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {

absl::StatusOr<std::shared_ptr<const Model>> FindModel(const CatalogView& catalog,
                                                       absl::string_view name,
                                                       absl::string_view version) {
  TENSORD_ASSIGN_OR_RETURN(std::shared_ptr<const Model> model, catalog.Find(name));
  if (!version.empty() && version != model->version()) {
    return MakeError(ErrorReason::kVersionChanged,
                     absl::StrCat("model ", Quote(model->id()), " has version ",
                                  Quote(model->version()), " now, wanted ", Quote(version)));
  }
  return model;
}

}  // namespace tensord
