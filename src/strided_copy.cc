#include "src/strided_copy.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "src/prefetch.h"

namespace tensord {
namespace {

// Runs that far apart the processor does not foresee: each misses the TLB as well as the caches,
// and to wait for one after the other takes longer than to copy them.
constexpr int64_t kFarBytes = 2048;
constexpr size_t kRunsAhead = 8;

// `Size`: size_t, or a constant that converts to it and makes each memcpy a few moves.
template <typename Size>
void CopyEach(const std::byte* source, int64_t step_bytes, Size run_bytes, size_t num_runs,
              std::byte* destination) {
  const auto run = [=](size_t i) { return source + static_cast<int64_t>(i) * step_bytes; };
  const bool is_far = step_bytes >= kFarBytes || step_bytes <= -kFarBytes;
  const size_t num_fetched = is_far ? num_runs - std::min(num_runs, kRunsAhead) : 0;
  size_t i = 0;
  for (; i < num_fetched; ++i) {
    Prefetch(run(i + kRunsAhead), run_bytes);
    std::memcpy(destination + i * run_bytes, run(i), run_bytes);
  }
  for (; i < num_runs; ++i) std::memcpy(destination + i * run_bytes, run(i), run_bytes);
}

template <size_t kBytes>
using Constant = std::integral_constant<size_t, kBytes>;

}  // namespace

void CopyRuns(const std::byte* source, int64_t step_bytes, size_t run_bytes, size_t num_runs,
              std::byte* destination) {
  if (step_bytes == static_cast<int64_t>(run_bytes)) {
    std::memcpy(destination, source, num_runs * run_bytes);
    return;
  }
  const auto copy = [=](auto size) { CopyEach(source, step_bytes, size, num_runs, destination); };
  switch (run_bytes) {
    case 1:
      return copy(Constant<1>());
    case 2:
      return copy(Constant<2>());
    case 4:
      return copy(Constant<4>());
    case 8:
      return copy(Constant<8>());
    case 16:
      return copy(Constant<16>());
    case 32:
      return copy(Constant<32>());
    case 64:
      return copy(Constant<64>());
    case 128:
      return copy(Constant<128>());
    default:
      return copy(run_bytes);
  }
}

}  // namespace tensord
