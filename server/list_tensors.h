// The RPC ListTensors, without its transport.
#pragma once

#include "absl/status/statusor.h"
#include "server/catalog_view.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// One page of the tensors of a model that match pattern and dtypes, in natural order of names or by
// place in the files. Errors: MODEL_NOT_FOUND, AMBIGUOUS_MODEL, VERSION_CHANGED, BAD_REQUEST,
// BAD_PAGE_TOKEN. Thread-safe.
absl::StatusOr<v1::ListTensorsResponse> ListTensors(const CatalogView& catalog,
                                                    const v1::ListTensorsRequest& request);

}  // namespace tensord
