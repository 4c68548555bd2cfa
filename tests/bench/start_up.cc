// Ours: how long a server needs from exec until it describes a tensor, and what memory it holds
// then.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "tensord/v1/tensord.grpc.pb.h"
#include "tests/bench/bench_main.h"
#include "tests/bench/process_usage.h"

extern char** environ;

namespace tensord::bench {
namespace {

constexpr std::chrono::seconds kGiveUp{60};

bool Listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool ok = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return ok;
}

// Waits until the server says that it serves. Being told costs it nothing, where asking it again
// and again would take a processor from what is measured.
void WaitUntilServing(const std::shared_ptr<grpc::Channel>& channel) {
  using Response = grpc::health::v1::HealthCheckResponse;
  const auto stub = grpc::health::v1::Health::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kGiveUp);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("tensord.v1.TensorStore");
  const auto watch = stub->Watch(&context, request);
  Response response;
  while (response.status() != Response::SERVING && watch->Read(&response)) {
  }
  context.TryCancel();
  const grpc::Status status = watch->Finish();
  if (response.status() != Response::SERVING) {
    Die("the server does not become ready: " + status.error_message());
  }
}

void Describe(const std::shared_ptr<grpc::Channel>& channel, const std::string& model,
              const std::string& tensor) {
  const auto stub = v1::TensorStore::NewStub(channel);
  grpc::ClientContext context;
  v1::GetMetadataRequest request;
  v1::GetMetadataResponse response;
  request.set_model(model);
  request.set_tensor(tensor);
  const grpc::Status status = stub->GetMetadata(&context, request, &response);
  if (!status.ok()) Die(status.error_message());
}

void WaitUntilReady(const std::string& path, const std::string& model, const std::string& tensor) {
  const double end = NowSeconds() + std::chrono::duration<double>(kGiveUp).count();
  while (!Listens(path)) {
    if (NowSeconds() > end) Die("the server does not listen");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto channel = grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials());
  WaitUntilServing(channel);
  Describe(channel, model, tensor);
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  std::string path, model, tensor;
  std::vector<std::string> command;
  CLI::App app("Starts a server and waits until it is ready");
  app.add_option("--unix-socket", path, "Where the command will listen")->required();
  app.add_option("--model", model)->required();
  app.add_option("--tensor", tensor)->required();
  app.add_option("command", command, "The server and its arguments, after --")->required();
  CLI11_PARSE(app, argc, argv);

  unlink(path.c_str());
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t server = 0;
  const double begin = NowSeconds();
  if (posix_spawn(&server, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) {
    Die("cannot start " + command[0]);
  }
  WaitUntilReady(path, model, tensor);
  const nlohmann::json result = {{"seconds", NowSeconds() - begin},
                                 {"server_cpu_s", CpuSeconds(server)},
                                 {"server_anon_bytes", AnonymousBytes(server)}};
  kill(server, SIGTERM);
  waitpid(server, nullptr, 0);
  std::cout << result.dump() << std::endl;
}
