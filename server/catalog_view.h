// A catalog as one caller may see it.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model_rights.h"
#include "src/catalog.h"

namespace tensord {

// Copies share catalog and rights. Thread-safe.
class CatalogView {
 public:
  // Of what outlives the view and its copies; without rights all of it.
  CatalogView(const Catalog& catalog)  // NOLINT(google-explicit-constructor): a catalog is a view.
      : catalog_(std::shared_ptr<void>(), &catalog) {}
  CatalogView(const Catalog& catalog, const ModelRights& rights)
      : catalog_(std::shared_ptr<void>(), &catalog),
        rights_(std::shared_ptr<void>(), rights.is_everything() ? nullptr : &rights) {}
  CatalogView(std::shared_ptr<const Catalog> catalog, std::shared_ptr<const ModelRights> rights)
      : catalog_(std::move(catalog)),
        rights_(rights->is_everything() ? nullptr : std::move(rights)) {}

  // As Catalog::Find, but PERMISSION_DENIED for a name that the caller may not use, whether it
  // means anything or not; suggestions and candidates are such as the caller may read.
  absl::StatusOr<std::shared_ptr<const Model>> Find(absl::string_view name) const;

  // The same as Find without waiting for a file: see Catalog::FindKnown.
  absl::StatusOr<Catalog::Known> FindKnown(absl::string_view name) const;

  // Whether the caller may know the model of this id.
  bool Shows(absl::string_view id) const { return rights_ == nullptr || rights_->Allow(id); }

  // Whether the caller may know this side file of a model that they may read: one that is named
  // after another model of the directory, such as its index, is that one's.
  bool ShowsSideFile(const Model& model, absl::string_view file) const;

  // All models, also those that are not shown.
  const Catalog& catalog() const { return *catalog_; }

 private:
  absl::Status CheckAllowed(absl::string_view name) const;

  std::shared_ptr<const Catalog> catalog_;
  std::shared_ptr<const ModelRights> rights_;  // Null: everything.
};

}  // namespace tensord
