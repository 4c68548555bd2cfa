// Yardstick: reads a file by several threads in parallel, 4 MiB a pread, into faulted memory.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/bench_main.h"

namespace tensord::bench {
namespace {

constexpr size_t kReadBytes = 4 << 20;

absl::Status Read(int fd, uint64_t offset, absl::Span<std::byte> destination) {
  while (!destination.empty()) {
    const ssize_t got = pread(fd, destination.data(), std::min(destination.size(), kReadBytes),
                              static_cast<off_t>(offset));
    if (got <= 0) return absl::DataLossError(std::string("pread: ") + std::strerror(errno));
    destination.remove_prefix(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  size_t threads = 1;
  LoopOptions loop;
  Subject subject;
  CLI::App app("Reads a range of a file in parallel");
  app.add_option("--threads", threads)->check(CLI::PositiveNumber);
  AddLoopOptions(app, loop);
  AddSubjectOptions(app, subject);
  CLI11_PARSE(app, argc, argv);

  const int fd = open(subject.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) Die(subject.file + ": " + std::strerror(errno));
  std::vector<RangeReader> readers(
      threads,
      [fd, base = subject.offset_bytes](uint64_t offset, absl::Span<std::byte> destination) {
        return Read(fd, base + offset, destination);
      });
  return RunTransfers(loop, subject, std::move(readers));
}
