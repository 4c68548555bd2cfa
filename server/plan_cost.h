// Which calls would keep one of gRPC's threads from others for long, and where they run instead.
#pragma once

#include "absl/strings/string_view.h"
#include "server/batch_request_view.h"
#include "server/catalog_view.h"
#include "src/file_place.h"
#include "src/model.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// Whether the request is answered, or planned, within some milliseconds. `model` is the one that it
// names; null: it names none, which is found out quickly.
bool IsQuick(const CatalogView& view, const Model* model, const v1::ListModelsRequest& request);
bool IsQuick(const CatalogView& view, const Model* model, const v1::ListTensorsRequest& request);
bool IsQuick(const CatalogView& view, const Model* model, const v1::GetMetadataRequest& request);
bool IsQuick(const CatalogView& view, const Model* model, const v1::GetSliceRequest& request);
bool IsQuick(const CatalogView& view, const Model* model, const BatchRequestView& request);

// Those that name one thing.
template <typename Request>
bool IsQuick(const CatalogView& /*view*/, const Model* /*model*/, const Request& /*request*/) {
  return true;
}

// In the pool, on a device of their own: peers take turns there, and leave half of the threads to
// files. `peer` is as in CallRecord.
FilePlace PlaceOfLongCalls(absl::string_view peer);

}  // namespace tensord
