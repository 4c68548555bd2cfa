// Reads all tensors of a model by one batch, and halts on the way for whoever breaks something
// then.
//
// usage: read_many ADDRESS MODEL OUT HALTS CONNECTIONS [CA]
//
// Writes the tensors to OUT, in order of name. Says `halt` on standard output when the n-th part of
// HALTS + 1 has come, and waits for a line on standard input; in the end, what it has cost.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "tensord/client.h"

namespace {

int Fail(const absl::Status& status) {
  std::cerr << status << "\n";
  return 1;
}

// Halts each time that another part has come.
class Halts {
 public:
  Halts(uint64_t size_bytes, uint64_t count)
      : part_bytes_(size_bytes / (count + 1)), left_(count) {}

  void Pass(const tensord::ReadProgress& progress) {
    if (left_ == 0 || progress.bytes < next_ * part_bytes_) return;
    --left_;
    ++next_;
    std::cout << "halt" << std::endl;
    std::string line;
    std::getline(std::cin, line);
  }

 private:
  const uint64_t part_bytes_;
  uint64_t left_;
  uint64_t next_ = 1;
};

// Where each tensor goes: one behind the other.
std::vector<tensord::ReadRequest> RequestsOf(const std::vector<tensord::PlannedRead>& plan,
                                             absl::Span<std::byte> memory) {
  std::vector<tensord::ReadRequest> requests;
  uint64_t begin = 0;
  for (const tensord::PlannedRead& read : plan) {
    requests.push_back({read.tensor, {}, {}, memory.subspan(begin, read.size_bytes)});
    begin += read.size_bytes;
  }
  return requests;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    std::cerr << "usage: read_many ADDRESS MODEL OUT HALTS CONNECTIONS [CA]\n";
    return 2;
  }
  const absl::string_view model = argv[2];
  tensord::ClientOptions options;
  options.connect_timeout = absl::Minutes(1);  // A killed server takes a while on a busy machine.
  options.connections = std::strtoul(argv[5], nullptr, 10);
  if (argc == 7) options.tls_ca = argv[6];
  auto client = tensord::Client::Connect(argv[1], options);
  if (!client.ok()) return Fail(client.status());
  auto plan = client->Plan(model, std::vector<tensord::Selection>{{"", "*", {}}});
  if (!plan.ok()) return Fail(plan.status());
  std::sort(plan->begin(), plan->end(),
            [](const auto& a, const auto& b) { return a.tensor < b.tensor; });
  uint64_t size = 0;
  for (const tensord::PlannedRead& read : *plan) size += read.size_bytes;
  std::vector<std::byte> memory(size);
  Halts halts(size, std::strtoul(argv[4], nullptr, 10));
  const auto report =
      client->ReadMany(model, RequestsOf(*plan, absl::MakeSpan(memory)),
                       [&](const tensord::ReadProgress& progress) { halts.Pass(progress); });
  if (!report.ok()) return Fail(report.status());
  for (const tensord::ReadFailure& failure : report->failures) return Fail(failure.status);
  std::ofstream(argv[3], std::ios::binary)
      .write(reinterpret_cast<const char*>(memory.data()), static_cast<std::streamsize>(size));
  std::cout << "{\"bytes\": " << report->bytes << ", \"received\": " << report->bytes_received
            << ", \"retries\": " << report->num_retries << "}" << std::endl;
  return 0;
}
