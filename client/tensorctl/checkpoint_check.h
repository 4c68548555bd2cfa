// Whether all that makes up a checkpoint of several files is there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tensord::ctl {

// Whether `path`'s name is an index's: `*.safetensors.index[.VARIANT].json`.
bool IsIndexPath(absl::string_view path);

// Judges the checkpoint of the index at `path`: reads it, and the header of each file that it
// names. How many tensors it places. Errors: SHARD_MISSING naming files that are not there;
// FILE_INVALID for an index that cannot be trusted, a broken file, or one that lacks a tensor that
// the index places in it; FILE_NOT_FOUND and READ_ERROR of the index.
absl::StatusOr<uint64_t> CheckIndex(const std::string& path);

// A checkpoint that lacks files.
struct IncompleteCheckpoint {
  std::string path;  // Directory and name: of `d/x-1-of-2.safetensors` "d/x".
  absl::Status status;
};

// Judges by their names the shards (`x-1-of-2.safetensors`) among `files` that no index claims: of
// one of `indices`' directory and name, or named by it. Both are what one walk has found. Errors
// are SHARD_MISSING with the numbers, in order of path.
std::vector<IncompleteCheckpoint> FindIncomplete(absl::Span<const std::string> files,
                                                 absl::Span<const std::string> indices);

}  // namespace tensord::ctl
