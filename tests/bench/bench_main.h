// What every measuring program shares: options, the measured loop, and the line of JSON that it
// prints.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "nlohmann/json.hpp"

namespace tensord::bench {

// How often to measure, and whom to charge.
struct LoopOptions {
  int repeats = 1;
  int warm_ups = 1;
  double at_least_seconds = 0;  // Repeat beyond `repeats` until this has passed.
  std::vector<pid_t> servers;   // Processes of the other side.
  bool sample_memory = false;   // Watch peaks; timings of such a run do not count.
  bool drop_caches = false;  // Before each run: forget the clean pages of files that nobody maps.
};
void AddLoopOptions(CLI::App& app, LoopOptions& options);

// Which bytes to move: a range of a file, which also serves to check what arrived.
struct Subject {
  std::string file;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};
void AddSubjectOptions(CLI::App& app, Subject& subject);

// Runs `once` warm_ups times, then measures repeated runs of it. The result has seconds, bytes,
// items, client_cpu_s, server_cpu_s, p50_us, p99_us, max_us of single runs, client_anon_bytes and
// server_anon_bytes: at the end, or peaks when sampled.
nlohmann::json Measure(const LoopOptions& options, uint64_t bytes_each, uint64_t items_each,
                       const std::function<void()>& once);

// Reads `destination.size()` bytes of the subject, beginning at `offset` of it, over one
// connection.
using RangeReader = std::function<absl::Status(uint64_t offset, absl::Span<std::byte> destination)>;

// Moves the whole subject again and again into one faulted destination, split evenly over the
// readers, one thread each; compares the bytes with the file's at the end. Prints the result;
// returns main's exit code.
int RunTransfers(const LoopOptions& options, const Subject& subject,
                 std::vector<RangeReader> readers);

// Keeps malloc from giving memory back and faulting it in again. Raising only the trim threshold
// would also freeze the mmap threshold at 128 KiB, and each message of 1 MiB would be mapped
// afresh.
void KeepHeap();

// Anonymous memory with every page present. Never freed: the process ends with its measurement.
absl::Span<std::byte> FaultedMemory(uint64_t size_bytes);

// The whole file, mapped for good.
absl::Span<const std::byte> MapFile(const std::string& path);

[[noreturn]] void Die(const std::string& message);
void OrDie(const absl::Status& status);
template <typename T>
T OrDie(absl::StatusOr<T> value) {
  OrDie(value.status());
  return *std::move(value);
}

}  // namespace tensord::bench
