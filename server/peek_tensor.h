// The RPC PeekTensor, without its transport.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "server/catalog_view.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// A complex number counts as one.
inline constexpr uint32_t kMaxPeekValues = 4'096;

// The first values of a slice, decoded. Reads no more of the file than it answers. Errors:
// MODEL_NOT_FOUND, AMBIGUOUS_MODEL, VERSION_CHANGED, TENSOR_NOT_FOUND, FILE_INVALID, SHARD_MISSING,
// BAD_SLICE, UNEVEN_SHARD, INDEX_OUT_OF_BOUNDS; FILE_CHANGED when the file is not what it was, also
// right after reading. Thread-safe.
absl::StatusOr<v1::PeekTensorResponse> PeekTensor(const CatalogView& catalog,
                                                  const v1::PeekTensorRequest& request);

}  // namespace tensord
