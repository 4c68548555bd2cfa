#include "server/header_wait.h"

#include <utility>

#include "absl/status/statusor.h"

namespace tensord {
namespace {

// On no device.
constexpr FilePlace kAllModels = {~uint64_t{0}, 0};

}  // namespace

HeaderWait WaitForHeaders(const CatalogView& view, absl::string_view name) {
  absl::StatusOr<Catalog::Known> known = view.FindKnown(name);
  if (!known.ok()) return {};
  if (known->model == nullptr) return {nullptr, known->place};
  return {std::move(known->model), std::nullopt};
}

HeaderWait WaitForHeaders(const CatalogView& view, const v1::ListModelsRequest& /*request*/) {
  if (view.catalog().KnowsAllModels()) return {};
  return {nullptr, kAllModels};
}

HeaderWait WaitForHeaders(const CatalogView& view, const v1::GetMetadataRequest& request) {
  HeaderWait wait = WaitForHeaders(view, absl::string_view(request.model()));
  const bool needs_side_files = wait.model != nullptr && !request.has_tensor();
  if (needs_side_files && !wait.model->knows_side_files()) wait.place = wait.model->PlaceOf("");
  return wait;
}

}  // namespace tensord
