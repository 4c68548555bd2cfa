// Ours: all tensors of a model in one ReadMany, whole or a shard of each.
#include <algorithm>
#include <cstring>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/tensord_options.h"

namespace tensord::bench {
namespace {

struct ShardOptions {
  uint32_t index = 0;
  uint32_t count = 1;
};

// Where a tensor's part lies in its file. A shard of dimension 0 is one run.
struct Part {
  std::string tensor;
  std::string file;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  bool sharded = false;
};

Part PartOf(const TensorInfo& info, const ShardOptions& shard) {
  Part part{info.name, info.file, info.offset_bytes, info.size_bytes, false};
  const Shape& extents = info.shape;
  if (shard.count == 1 || extents.empty() || extents[0] == 0) return part;
  const uint64_t length = (extents[0] + shard.count - 1) / shard.count;
  const uint64_t begin = std::min<uint64_t>(extents[0], shard.index * length);
  const uint64_t end = std::min<uint64_t>(extents[0], begin + length);
  const uint64_t row_bytes = info.size_bytes / extents[0];
  part.offset_bytes += begin * row_bytes;
  part.size_bytes = (end - begin) * row_bytes;
  part.sharded = true;
  return part;
}

std::vector<ReadRequest> RequestsOf(const std::vector<Part>& parts, const ShardOptions& shard,
                                    absl::Span<std::byte> destination) {
  std::vector<ReadRequest> requests;
  requests.reserve(parts.size());
  uint64_t at = 0;
  for (const Part& part : parts) {
    ReadRequest request{part.tensor, {}, {}, destination.subspan(at, part.size_bytes)};
    if (part.sharded) request.slice.dims = {Shard{shard.index, shard.count, 0, 0, true}};
    requests.push_back(std::move(request));
    at += part.size_bytes;
  }
  return requests;
}

void Verify(const std::vector<Part>& parts, const std::string& directory,
            absl::Span<const std::byte> got) {
  std::string path;
  absl::Span<const std::byte> file;
  for (const Part& part : parts) {
    if (directory + "/" + part.file != path) file = MapFile(path = directory + "/" + part.file);
    if (std::memcmp(got.data(), file.data() + part.offset_bytes, part.size_bytes) != 0) {
      Die("the bytes of " + part.tensor + " differ from " + path);
    }
    got.remove_prefix(part.size_bytes);
  }
}

std::vector<Part> ListParts(const Client& client, const TensordOptions& options,
                            const ShardOptions& shard) {
  const TensorList list = OrDie(client.ListTensors(
      options.model, {.pattern = "", .dtypes = {}, .order = TensorOrder::kOffset}));
  std::vector<Part> parts;
  for (const TensorInfo& info : list.tensors) parts.push_back(PartOf(info, shard));
  return parts;
}

uint64_t SizeOf(const std::vector<Part>& parts) {
  uint64_t sum = 0;
  for (const Part& part : parts) sum += part.size_bytes;
  return sum;
}

void ReadAll(const Client& client, const TensordOptions& options,
             absl::Span<const ReadRequest> requests) {
  const ReadReport report = OrDie(client.ReadMany(options.model, requests));
  if (!report.failures.empty()) OrDie(report.failures.front().status);
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  TensordOptions options;
  ShardOptions shard;
  std::string directory;
  bool fresh = false;
  LoopOptions loop;
  CLI::App app("Reads all tensors of a model");
  AddTensordOptions(app, options);
  app.add_option("--directory", directory, "The model's own, to compare with")->required();
  app.add_option("--shard-index", shard.index);
  app.add_option("--shard-count", shard.count)->check(CLI::PositiveNumber);
  app.add_flag("--fresh", fresh, "Listing and allocating count too: what a worker does once");
  AddLoopOptions(app, loop);
  CLI11_PARSE(app, argc, argv);

  const auto client = OrDie(tensord::Client::Connect(options.address, options.client));
  const std::vector<Part> parts = ListParts(client, options, shard);
  const uint64_t size_bytes = SizeOf(parts);
  nlohmann::json result;
  if (fresh) {
    tensord::AlignedBuffer owned;
    std::vector<Part> listed;
    result = Measure(loop, size_bytes, parts.size(), [&] {
      owned = {};
      listed = ListParts(client, options, shard);
      owned = OrDie(tensord::AlignedBuffer::Allocate(SizeOf(listed)));
      ReadAll(client, options, RequestsOf(listed, shard, owned.bytes()));
    });
    Verify(listed, directory, owned.bytes());
  } else {
    const auto destination = FaultedMemory(size_bytes);
    const auto requests = RequestsOf(parts, shard, destination);
    result = Measure(loop, size_bytes, parts.size(), [&] { ReadAll(client, options, requests); });
    Verify(parts, directory, destination);
  }
  result["destination_bytes"] = size_bytes;
  std::cout << result.dump() << std::endl;
}
