// Spreads independent work over threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace tensord {

// Calls work(0) to work(count - 1), each once, in no order, from up to `num_threads` threads of
// which the caller's is one. Returns when all are done.
inline void ParallelFor(size_t num_threads, size_t count, absl::FunctionRef<void(size_t)> work) {
  std::atomic<size_t> next = 0;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> helpers;
  for (size_t i = 1; i < std::min(num_threads, count); ++i) helpers.emplace_back(run);
  run();
}

}  // namespace tensord
