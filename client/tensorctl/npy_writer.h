// The header of numpy's .npy format, which stands before the raw data.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensord/dtype.h"

namespace tensord::ctl {

// Version 1.0, or 2.0 where the header is longer than 1.0 can say. Its size is a multiple of 64, so
// that mapped data is aligned. INVALID_ARGUMENT for a dtype that numpy lacks; the message says what
// to use instead.
absl::StatusOr<std::string> NpyHeader(Dtype dtype, absl::Span<const uint64_t> shape);

}  // namespace tensord::ctl
