// The tensor and slice that a command line means, looked up at the server.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/tensorctl/session.h"
#include "client/tensorctl/tensor_argument.h"

namespace tensord::ctl {

struct TensorTarget {
  TensorInfo tensor;
  Slice slice;         // Empty: the whole tensor.
  bool is_whole_text;  // No slice was written, and no shard.
};

// If the whole text is a tensor's name it is that, else it is cut at its last '['. Errors: the
// server's; BAD_SLICE for slice text that is none; usage errors of ApplyShards.
absl::StatusOr<TensorTarget> FindTarget(const std::string& model, const std::string& text,
                                        absl::Span<const ShardArgument> shards,
                                        const Session& session, const CallOptions& call);

}  // namespace tensord::ctl
