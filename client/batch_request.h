// Cuts a list of selections of any length into GetTensors requests of bounded size.
#pragma once

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// Below the 4 MiB that gRPC servers take, with room for what a proxy or a later field may add.
inline constexpr size_t kMaxRequestBytes = 1 << 20;

// Appends selections [begin, end) of a list to `request`, as many as fit, and returns how many; at
// least one, however long. `make` writes selection i.
absl::StatusOr<size_t> AppendSelections(
    size_t begin, size_t end, absl::FunctionRef<absl::Status(size_t, v1::Selection&)> make,
    v1::GetTensorsRequest& request);

}  // namespace tensord
