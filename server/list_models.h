// The RPC ListModels, without its transport.
#pragma once

#include "absl/status/statusor.h"
#include "server/catalog_view.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// One page of the models that the view shows and whose id matches the filter. A page ends before it
// is larger than kMaxPageBytes, unless by its first model. Errors: BAD_REQUEST, BAD_PAGE_TOKEN.
// Thread-safe.
absl::StatusOr<v1::ListModelsResponse> ListModels(const CatalogView& view,
                                                  const v1::ListModelsRequest& request);

}  // namespace tensord
