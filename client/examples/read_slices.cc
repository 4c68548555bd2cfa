// Reads one rank's rows of every tensor of a model into one block of memory.
//
//   read_slices unix:///run/tensord/tensord.sock gpt2 0 4
#include <cstdlib>
#include <iostream>
#include <vector>

#include "tensord/client.h"

namespace {

int Fail(const absl::Status& status) {
  std::cerr << status << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: read_slices ADDRESS MODEL RANK RANKS\n";
    return 2;
  }
  const absl::string_view model = argv[2];
  tensord::Shard shard;
  shard.index = static_cast<uint32_t>(std::atoi(argv[3]));
  shard.count = static_cast<uint32_t>(std::atoi(argv[4]));
  shard.allow_uneven = true;

  auto client = tensord::Client::Connect(argv[1]);
  if (!client.ok()) return Fail(client.status());
  auto list = client->ListTensors(model);
  if (!list.ok()) return Fail(list.status());

  // How large is each part?
  std::vector<tensord::Selection> selections;
  for (const tensord::TensorInfo& tensor : list->tensors) {
    if (tensor.shape.empty()) continue;  // A scalar has no rows.
    selections.push_back({tensor.name, "", {{shard}, {}}});
  }
  tensord::CallOptions call;
  call.version = list->version;  // Never mix two versions of a model.
  auto plan = client->Plan(model, selections, call);
  if (!plan.ok()) return Fail(plan.status());
  uint64_t size = 0;
  for (const tensord::PlannedRead& read : *plan) size += read.size_bytes;

  // Read them all, one behind the other.
  auto memory = tensord::AlignedBuffer::Allocate(size);
  if (!memory.ok()) return Fail(memory.status());
  std::vector<tensord::ReadRequest> requests;
  uint64_t begin = 0;
  for (const tensord::PlannedRead& read : *plan) {
    requests.push_back({read.tensor,
                        selections[read.selection].slice,
                        {},
                        memory->bytes().subspan(begin, read.size_bytes)});
    begin += read.size_bytes;
  }
  auto report = client->ReadMany(model, requests, nullptr, call);
  if (!report.ok()) return Fail(report.status());
  for (const auto& failure : report->failures) Fail(failure.status);
  std::cout << "read " << report->bytes << " bytes of " << requests.size() << " tensors of "
            << report->model << "\n";
  return report->failures.empty() ? 0 : 1;
}
