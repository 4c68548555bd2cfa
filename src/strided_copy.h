// The copy loops that narrow slices live on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tensord {

// Copies `num_runs` runs of `run_bytes` each to `destination`, densely. Run i begins at `source` +
// i * `step_bytes`; the step may be negative. The ranges must not overlap.
void CopyRuns(const std::byte* source, int64_t step_bytes, size_t run_bytes, size_t num_runs,
              std::byte* destination);

}  // namespace tensord
