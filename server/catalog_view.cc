#include "server/catalog_view.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/hub_cache.h"
#include "src/status_macros.h"
#include "src/store_scan.h"

namespace tensord {

absl::Status CatalogView::CheckAllowed(absl::string_view name) const {
  if (rights_ == nullptr || rights_->Allow(name)) return absl::OkStatus();
  return MakeError(ErrorReason::kPermissionDenied,
                   absl::StrCat("these credentials are not good for a model called ", Quote(name)));
}

absl::StatusOr<std::shared_ptr<const Model>> CatalogView::Find(absl::string_view name) const {
  TENSORD_RETURN_IF_ERROR(CheckAllowed(name));
  return catalog_->Find(name, [this](absl::string_view id) { return Shows(id); });
}

absl::StatusOr<Catalog::Known> CatalogView::FindKnown(absl::string_view name) const {
  TENSORD_RETURN_IF_ERROR(CheckAllowed(name));
  return catalog_->FindKnown(name, [this](absl::string_view id) { return Shows(id); });
}

bool CatalogView::ShowsSideFile(const Model& model, absl::string_view file) const {
  if (rights_ == nullptr) return true;
  const absl::string_view id = model.id();
  const size_t slash = id.rfind('/');
  const absl::string_view directory = id.substr(0, slash == absl::string_view::npos ? 0 : slash);
  for (size_t dot = file.find('.'); dot != absl::string_view::npos; dot = file.find('.', dot + 1)) {
    const std::string owner = JoinPath(directory, EncodeId(file.substr(0, dot)));
    if (!rights_->Allow(owner) && catalog_->HasModel(owner)) return false;
  }
  return true;
}

}  // namespace tensord
