// Yardstick: receives ranges of a file over plain sockets.
#include <cstddef>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/bench_main.h"
#include "tests/bench/raw_request.h"
#include "tests/bench/sockets.h"

int main(int argc, char** argv) {
  using namespace tensord::bench;
  std::string address;
  size_t connections = 1;
  LoopOptions loop;
  Subject subject;
  CLI::App app("Receives a range of a file over raw sockets");
  app.add_option("--address", address)->required();
  app.add_option("--connections", connections)->check(CLI::PositiveNumber);
  AddLoopOptions(app, loop);
  AddSubjectOptions(app, subject);
  CLI11_PARSE(app, argc, argv);

  std::vector<RangeReader> readers;
  for (size_t i = 0; i < connections; ++i) {
    readers.push_back([fd = ConnectTo(address), base = subject.offset_bytes](
                          uint64_t offset, absl::Span<std::byte> destination) {
      const RawRequest request{base + offset, destination.size()};
      const bool ok = SendAll(fd, &request, sizeof(request)) &&
                      ReceiveAll(fd, destination.data(), destination.size());
      return ok ? absl::OkStatus() : absl::UnavailableError("the raw server closed the connection");
    });
  }
  return RunTransfers(loop, subject, std::move(readers));
}
