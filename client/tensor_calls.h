// The calls that read one tensor or slice. Contracts as in tensord/client.h.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/connections.h"
#include "tensord/destination.h"
#include "tensord/slice.h"
#include "tensord/tensor_data.h"

namespace tensord {

// What to read; an empty slice means the whole tensor.
struct TensorRead {
  std::string model;
  std::string tensor;
  Slice slice;
};

absl::StatusOr<TensorData> GetSlice(const Connections& connections, const Call& call,
                                    const TensorRead& read);

absl::Status ReadSlice(const Connections& connections, const Call& call, const TensorRead& read,
                       const Destination& destination);

}  // namespace tensord
