// Yardstick: the client that one writes first. Generated stub, each chunk parsed, then copied to
// where it belongs.
#include <grpcpp/grpcpp.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "tensord/v1/tensord.grpc.pb.h"
#include "tests/bench/bench_main.h"

namespace tensord::bench {
namespace {

absl::Status Read(v1::TensorStore::Stub& stub, uint64_t offset, uint32_t chunk_bytes,
                  absl::Span<std::byte> destination) {
  grpc::ClientContext context;
  v1::GetTensorRequest request;
  request.mutable_range()->set_offset(offset);
  request.mutable_range()->set_length(destination.size());
  request.set_chunk_bytes(chunk_bytes);
  const auto reader = stub.GetTensor(&context, request);
  v1::TensorChunk chunk;
  while (reader->Read(&chunk)) {
    const v1::TensorPart& part = chunk.parts(0);
    std::memcpy(destination.data() + (part.offset_bytes() - offset), part.data().data(),
                part.data().size());
  }
  const grpc::Status status = reader->Finish();
  return status.ok() ? absl::OkStatus() : absl::UnavailableError(status.error_message());
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  std::string address;
  size_t connections = 1;
  uint32_t chunk_bytes = 1 << 20;
  LoopOptions loop;
  Subject subject;
  CLI::App app("Reads a range of a file by plain gRPC and protobuf");
  app.add_option("--address", address)->required();
  app.add_option("--connections", connections)->check(CLI::PositiveNumber);
  app.add_option("--chunk-bytes", chunk_bytes);
  AddLoopOptions(app, loop);
  AddSubjectOptions(app, subject);
  CLI11_PARSE(app, argc, argv);

  std::vector<RangeReader> readers;
  for (size_t i = 0; i < connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // A connection of its own.
    std::shared_ptr<tensord::v1::TensorStore::Stub> stub = tensord::v1::TensorStore::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
    readers.push_back([=](uint64_t offset, absl::Span<std::byte> destination) {
      return Read(*stub, subject.offset_bytes + offset, chunk_bytes, destination);
    });
  }
  return RunTransfers(loop, subject, std::move(readers));
}
