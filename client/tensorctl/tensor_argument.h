// How tensors and ranks are spelled on the command line: 'TENSOR[SLICE]' and --shard DIM:I/N.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tensord/slice.h"

namespace tensord::ctl {

// The argument cut before its last '[', both parts pointing into it.
struct SplitArgument {
  absl::string_view tensor;
  absl::string_view slice;  // Brackets included.
};

// Names may hold brackets, so this is the second choice: the first is that the whole text is a
// name. nullopt when there is no '['.
std::optional<SplitArgument> SplitTensorArgument(absl::string_view text);

// The glob that matches `name` alone.
std::string LiteralPattern(absl::string_view name);

// One --shard: a rank's part of one dimension.
struct ShardArgument {
  int64_t dimension = 0;  // Of the tensor; negative counts from the last.
  Shard shard;
};

// "DIM:I/N", then any of ",multiple=M", ",padded=P", ",uneven". INVALID_ARGUMENT shows the form.
absl::StatusOr<ShardArgument> ParseShardArgument(absl::string_view text);

// `slice` on a tensor of `rank` with each shard in place of its dimension, which must be whole in
// `slice` and have one shard at most. Without shards it is `slice` itself. Else the result has no
// ellipsis. INVALID_ARGUMENT names the dimension.
absl::StatusOr<Slice> ApplyShards(const Slice& slice, absl::Span<const ShardArgument> shards,
                                  size_t rank);

}  // namespace tensord::ctl
