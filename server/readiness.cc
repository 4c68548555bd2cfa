#include "server/readiness.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "src/escape.h"
#include "src/model.h"

namespace tensord {

bool Readiness::Update(const Catalog& catalog) {
  if (is_ready_) return true;
  missing_ = Missing(catalog);
  is_ready_ = missing_.empty();
  return is_ready_;
}

std::string Readiness::Missing(const Catalog& catalog) const {
  if (catalog.num_models() < options_.min_models) {
    return absl::StrCat(catalog.num_models(), " of ", options_.min_models, " models are there");
  }
  for (const std::string& name : options_.preload) {
    const auto model = catalog.Find(name);
    if (!model.ok()) return std::string(model.status().message());
    if ((*model)->state() != ModelState::kReady) {
      return absl::StrCat("model ", Quote(name), " is not complete");
    }
  }
  return "";
}

}  // namespace tensord
