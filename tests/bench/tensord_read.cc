// Ours: reads a range of a tensor into the caller's memory, over one or several connections.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/tensord_options.h"

namespace tensord::bench {
namespace {

absl::Status Read(const Client& client, const TensordOptions& options, uint64_t offset,
                  absl::Span<std::byte> destination) {
  ReadRequest request{options.tensor, {}, ByteRange{offset, destination.size()}, destination};
  const auto report = client.ReadMany(options.model, {&request, 1});
  if (!report.ok()) return report.status();
  return report->failures.empty() ? absl::OkStatus() : report->failures.front().status;
}

// Without a range, as users do it.
absl::Status ReadWhole(const Client& client, const TensordOptions& options,
                       absl::Span<std::byte> destination) {
  return client.ReadSlice(options.model, options.tensor, {}, destination);
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  TensordOptions options;
  size_t connections = 1;
  size_t streams = 0;
  bool whole = false;
  LoopOptions loop;
  Subject subject;
  CLI::App app("Reads a tensor through tensord; --file and --offset say what the bytes must be");
  AddTensordOptions(app, options);
  app.add_option("--connections", connections)->check(CLI::PositiveNumber);
  app.add_option("--streams", streams, "Spread over the connections; default: one each");
  app.add_flag("--whole", whole, "The subject is the whole tensor, and one connection reads it");
  AddLoopOptions(app, loop);
  AddSubjectOptions(app, subject);
  CLI11_PARSE(app, argc, argv);
  if (whole && connections != 1) Die("--whole reads over one connection");

  std::vector<std::shared_ptr<tensord::Client>> clients;
  for (size_t i = 0; i < connections; ++i) {
    clients.push_back(std::make_shared<tensord::Client>(
        OrDie(tensord::Client::Connect(options.address, options.client))));
  }
  std::vector<RangeReader> readers;
  for (size_t i = 0; i < std::max(streams, connections); ++i) {
    const auto client = clients[i % connections];
    readers.push_back([=](uint64_t offset, absl::Span<std::byte> destination) {
      return whole ? ReadWhole(*client, options, destination)
                   : Read(*client, options, offset, destination);
    });
  }
  return RunTransfers(loop, subject, std::move(readers));
}
