// Where a call waits for headers, so that gRPC's threads never do.
#pragma once

#include <memory>
#include <optional>

#include "absl/strings/string_view.h"
#include "server/catalog_view.h"
#include "src/file_place.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

struct HeaderWait {
  std::shared_ptr<const Model> model;  // Held so that what is in memory stays there.
  std::optional<FilePlace> place;      // Where the call has to wait, if it has to.
};

// For a call on the model that `name` means. Looks at no file. None for a name that means nothing:
// the call says so at once.
HeaderWait WaitForHeaders(const CatalogView& view, absl::string_view name);

// For a request on one model.
template <typename Request>
HeaderWait WaitForHeaders(const CatalogView& view, const Request& request) {
  return WaitForHeaders(view, absl::string_view(request.model()));
}

// Of all models: such calls wait for one another, so that a volume that hangs takes one thread.
HeaderWait WaitForHeaders(const CatalogView& view, const v1::ListModelsRequest& request);

// Beside headers, the model's side files are looked up once.
HeaderWait WaitForHeaders(const CatalogView& view, const v1::GetMetadataRequest& request);

}  // namespace tensord
