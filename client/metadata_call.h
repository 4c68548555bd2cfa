// GetMetadata over all its pages, and on into values longer than a page.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "tensord/client.h"
#include "tensord/model_info.h"

namespace tensord {

// Contract as in tensord/client.h.
absl::StatusOr<ModelInfo> GetMetadata(const Connection& connection, const Call& call,
                                      const std::string& model, const MetadataOptions& options);

}  // namespace tensord
