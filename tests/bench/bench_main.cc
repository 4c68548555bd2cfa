#include "tests/bench/bench_main.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <thread>

#include "tests/bench/process_usage.h"

namespace tensord::bench {
namespace {

double CpuSecondsOf(const std::vector<pid_t>& pids) {
  double sum = 0;
  for (pid_t pid : pids) sum += CpuSeconds(pid);
  return sum;
}

uint64_t AnonymousBytesOf(const std::vector<pid_t>& pids) {
  uint64_t sum = 0;
  for (pid_t pid : pids) sum += AnonymousBytes(pid);
  return sum;
}

// Nearest rank.
double Percentile(const std::vector<double>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1,
                         static_cast<size_t>(share * static_cast<double>(sorted.size())))];
}

// At once before the run: a virtual machine may give idle memory back to its host, and what is
// taken anew costs many times what it costs to take what was free just now.
void DropCaches() {
  sync();
  const int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "1", 1) != 1) Die(std::string("drop_caches: ") + std::strerror(errno));
  close(fd);
}

}  // namespace

void AddLoopOptions(CLI::App& app, LoopOptions& options) {
  app.add_option("--repeats", options.repeats)->check(CLI::PositiveNumber);
  app.add_option("--warm-ups", options.warm_ups);
  app.add_option("--at-least-seconds", options.at_least_seconds);
  app.add_option("--server", options.servers, "Process ids of the other side");
  app.add_flag("--sample-memory", options.sample_memory);
  app.add_flag("--drop-caches", options.drop_caches, "Before each run; needs root");
}

void AddSubjectOptions(CLI::App& app, Subject& subject) {
  app.add_option("--file", subject.file)->required()->check(CLI::ExistingFile);
  app.add_option("--offset", subject.offset_bytes);
  app.add_option("--bytes", subject.size_bytes)->required();
}

nlohmann::json Measure(const LoopOptions& options, uint64_t bytes_each, uint64_t items_each,
                       const std::function<void()>& once) {
  KeepHeap();
  for (int i = 0; i < options.warm_ups; ++i) once();
  std::unique_ptr<MemorySampler> client, server;
  if (options.sample_memory) {
    client = std::make_unique<MemorySampler>(std::vector<pid_t>{getpid()});
    server = std::make_unique<MemorySampler>(options.servers);
  }
  std::vector<double> runs;
  const double client_cpu = CpuSeconds(getpid()), server_cpu = CpuSecondsOf(options.servers);
  double seconds = 0;
  while (runs.size() < static_cast<size_t>(options.repeats) || seconds < options.at_least_seconds) {
    if (options.drop_caches) DropCaches();
    const double begin = NowSeconds();
    once();
    runs.push_back(NowSeconds() - begin);
    seconds += runs.back();
  }
  nlohmann::json result = {
      {"seconds", seconds},
      {"runs", runs.size()},
      {"bytes", bytes_each * runs.size()},
      {"items", items_each * runs.size()},
      {"client_cpu_s", CpuSeconds(getpid()) - client_cpu},
      {"server_cpu_s", CpuSecondsOf(options.servers) - server_cpu},
      {"client_anon_bytes", client ? client->Stop() : AnonymousBytes(getpid())},
      {"server_anon_bytes", server ? server->Stop() : AnonymousBytesOf(options.servers)}};
  std::sort(runs.begin(), runs.end());
  result["p50_us"] = Percentile(runs, 0.5) * 1e6;
  result["p99_us"] = Percentile(runs, 0.99) * 1e6;
  result["max_us"] = runs.back() * 1e6;
  return result;
}

int RunTransfers(const LoopOptions& options, const Subject& subject,
                 std::vector<RangeReader> readers) {
  const auto destination = FaultedMemory(subject.size_bytes);
  const auto read_part = [&](size_t i) {
    const uint64_t begin = subject.size_bytes * i / readers.size();
    const uint64_t end = subject.size_bytes * (i + 1) / readers.size();
    OrDie(readers[i](begin, destination.subspan(begin, end - begin)));
  };
  nlohmann::json result = Measure(options, subject.size_bytes, 1, [&] {
    std::vector<std::thread> others;
    for (size_t i = 1; i < readers.size(); ++i) others.emplace_back(read_part, i);
    read_part(0);
    for (std::thread& thread : others) thread.join();
  });
  const auto file = MapFile(subject.file);
  if (subject.offset_bytes > file.size() ||
      subject.size_bytes > file.size() - subject.offset_bytes) {
    Die(subject.file + ": the range ends beyond the file");
  }
  if (std::memcmp(destination.data(), file.data() + subject.offset_bytes, subject.size_bytes) !=
      0) {
    Die("the bytes that arrived differ from " + subject.file);
  }
  result["destination_bytes"] = subject.size_bytes;
  std::cout << result.dump() << std::endl;
  return 0;
}

void KeepHeap() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

absl::Span<std::byte> FaultedMemory(uint64_t size_bytes) {
  void* data = mmap(nullptr, std::max<uint64_t>(size_bytes, 1), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) Die("no memory for " + std::to_string(size_bytes) + " bytes");
  std::memset(data, 1, size_bytes);
  return {static_cast<std::byte*>(data), size_bytes};
}

absl::Span<const std::byte> MapFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0) Die(path + ": " + std::strerror(errno));
  void* data = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) Die(path + ": " + std::strerror(errno));
  close(fd);
  return {static_cast<const std::byte*>(data), static_cast<size_t>(status.st_size)};
}

void Die(const std::string& message) {
  std::cerr << "error: " << message << std::endl;
  std::_Exit(1);
}

void OrDie(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

}  // namespace tensord::bench
