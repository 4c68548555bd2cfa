#include "src/strided_copy.h"

#include <cstring>

namespace tensord {
namespace {

// A size known at compile time makes each memcpy a few moves.
template <size_t kRunBytes>
void CopyFixed(const std::byte* source, int64_t step_bytes, size_t num_runs,
               std::byte* destination) {
  for (size_t i = 0; i < num_runs; ++i) {
    std::memcpy(destination + i * kRunBytes, source + static_cast<int64_t>(i) * step_bytes,
                kRunBytes);
  }
}

}  // namespace

void CopyRuns(const std::byte* source, int64_t step_bytes, size_t run_bytes, size_t num_runs,
              std::byte* destination) {
  if (step_bytes == static_cast<int64_t>(run_bytes)) {
    std::memcpy(destination, source, num_runs * run_bytes);
    return;
  }
  switch (run_bytes) {
    case 1:
      return CopyFixed<1>(source, step_bytes, num_runs, destination);
    case 2:
      return CopyFixed<2>(source, step_bytes, num_runs, destination);
    case 4:
      return CopyFixed<4>(source, step_bytes, num_runs, destination);
    case 8:
      return CopyFixed<8>(source, step_bytes, num_runs, destination);
    case 16:
      return CopyFixed<16>(source, step_bytes, num_runs, destination);
    case 32:
      return CopyFixed<32>(source, step_bytes, num_runs, destination);
    case 64:
      return CopyFixed<64>(source, step_bytes, num_runs, destination);
    case 128:
      return CopyFixed<128>(source, step_bytes, num_runs, destination);
    default:
      for (size_t i = 0; i < num_runs; ++i) {
        std::memcpy(destination + i * run_bytes, source + static_cast<int64_t>(i) * step_bytes,
                    run_bytes);
      }
  }
}

}  // namespace tensord
