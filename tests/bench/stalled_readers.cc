// Ours: what many readers that stop reading cost the server in anonymous memory.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "tensord/v1/tensord.grpc.pb.h"
#include "tests/bench/bench_main.h"
#include "tests/bench/process_usage.h"

namespace tensord::bench {
namespace {

// A stream that has taken one message and then waits.
struct Stalled {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::TensorChunk>> reader;
};

std::unique_ptr<Stalled> Stall(v1::TensorStore::Stub& stub, const v1::GetSliceRequest& request) {
  auto stalled = std::make_unique<Stalled>();
  stalled->reader = stub.GetSlice(&stalled->context, request);
  v1::TensorChunk chunk;
  if (stalled->reader->Read(&chunk)) return stalled;
  const grpc::Status status = stalled->reader->Finish();
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) return nullptr;
  Die("a stream ends at once: " + status.error_message());
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  std::string address;
  size_t streams = 256, connections = 64;
  double seconds = 2;
  bool narrow = false;
  pid_t server = 0;
  tensord::v1::GetSliceRequest request;
  CLI::App app("Stalls streams and watches the server's memory");
  app.add_option("--address", address)->required();
  app.add_option_function<std::string>("--model",
                                       [&](const std::string& text) { request.set_model(text); })
      ->required();
  app.add_option_function<std::string>("--tensor",
                                       [&](const std::string& text) { request.set_tensor(text); })
      ->required();
  app.add_option_function<std::string>("--slice",
                                       [&](const std::string& text) { request.set_slice(text); });
  app.add_option("--streams", streams);
  app.add_option("--connections", connections)->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds, "How long to watch after the last stream began");
  app.add_flag(
      "--narrow", narrow,
      "Windows that do not grow: else gRPC's client reads on into its own memory for long");
  app.add_option("--server", server)->required();
  CLI11_PARSE(app, argc, argv);

  const uint64_t before = AnonymousBytes(server);
  MemorySampler sampler({server});
  std::vector<std::unique_ptr<tensord::v1::TensorStore::Stub>> stubs;
  std::vector<std::unique_ptr<Stalled>> stalled;
  size_t refused = 0;
  for (size_t i = 0; i < connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    if (narrow) arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    stubs.push_back(tensord::v1::TensorStore::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
  }
  for (size_t i = 0; i < streams; ++i) {
    auto one = Stall(*stubs[i % connections], request);
    if (one == nullptr) {
      ++refused;
    } else {
      stalled.push_back(std::move(one));
    }
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const nlohmann::json result = {{"server_anon_bytes", sampler.Stop()},
                                 {"server_anon_before_bytes", before},
                                 {"stalled", stalled.size()},
                                 {"refused", refused}};
  for (const auto& one : stalled) one->context.TryCancel();
  std::cout << result.dump() << std::endl;
  std::_Exit(0);  // Streams that nobody reads would be waited for.
}
