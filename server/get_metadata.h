// The RPC GetMetadata, without its transport.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "server/catalog_view.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

inline constexpr uint32_t kDefaultValueBytes = 64 << 10;
inline constexpr uint32_t kMaxValueBytes = 1 << 20;
inline constexpr size_t kMaxKeyBytes = 64 << 10;

// The description of a model, page by page over its side files, then its files and their metadata
// entries; or of one tensor. Errors: MODEL_NOT_FOUND, AMBIGUOUS_MODEL, VERSION_CHANGED,
// TENSOR_NOT_FOUND, FILE_INVALID, SHARD_MISSING, BAD_REQUEST (a value_offset without exactly one
// key or where no character begins), BAD_PAGE_TOKEN. Thread-safe.
absl::StatusOr<v1::GetMetadataResponse> GetMetadata(const CatalogView& catalog,
                                                    const v1::GetMetadataRequest& request);

}  // namespace tensord
