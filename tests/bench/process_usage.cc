#include "tests/bench/process_usage.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <utility>

namespace tensord::bench {
namespace {

constexpr std::chrono::milliseconds kSampleInterval(3);

double Seconds(clockid_t clock) {
  timespec now{};
  if (clock_gettime(clock, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

double NowSeconds() { return Seconds(CLOCK_MONOTONIC); }

double CpuSeconds(pid_t pid) {
  clockid_t clock{};
  return clock_getcpuclockid(pid, &clock) == 0 ? Seconds(clock) : 0;
}

uint64_t AnonymousBytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("RssAnon:", 0) == 0) return std::stoull(line.substr(8)) * 1024;
  }
  return 0;
}

MemorySampler::MemorySampler(std::vector<pid_t> pids)
    : pids_(std::move(pids)), thread_([this] {
        while (!stop_) {
          Sample();
          std::this_thread::sleep_for(kSampleInterval);
        }
      }) {}

uint64_t MemorySampler::Stop() {
  if (!stop_.exchange(true)) {
    thread_.join();
    Sample();
  }
  return peak_bytes_;
}

void MemorySampler::Sample() {
  uint64_t sum = 0;
  for (pid_t pid : pids_) sum += AnonymousBytes(pid);
  peak_bytes_ = std::max<uint64_t>(peak_bytes_, sum);
}

}  // namespace tensord::bench
