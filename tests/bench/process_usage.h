// What processes have used so far, this one and others: CPU and anonymous memory, read from the
// kernel.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace tensord::bench {

// Of a monotonic clock.
double NowSeconds();

// CPU of all threads, ended ones included, to the nanosecond. 0 when there is no such process.
double CpuSeconds(pid_t pid);

// Anonymous resident memory (RssAnon); file pages are shared with the page cache and do not count.
uint64_t AnonymousBytes(pid_t pid);

// Watches anonymous memory of some processes, added up, from a thread of its own. It costs CPU: not
// for runs whose time counts.
class MemorySampler {
 public:
  explicit MemorySampler(std::vector<pid_t> pids);
  ~MemorySampler() { Stop(); }
  MemorySampler(const MemorySampler&) = delete;
  MemorySampler& operator=(const MemorySampler&) = delete;

  // Ends sampling and returns the highest sum seen.
  uint64_t Stop();

 private:
  void Sample();

  const std::vector<pid_t> pids_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> peak_bytes_{0};
  std::thread thread_;
};

}  // namespace tensord::bench
