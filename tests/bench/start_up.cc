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
#include <string>
#include <thread>
#include <vector>

#include "tensord/v1/tensord.grpc.pb.h"
#include "tests/bench/bench_main.h"
#include "tests/bench/process_usage.h"

extern char** environ;

namespace tensord::bench {
namespace {

constexpr double kGiveUpSeconds = 60;

bool Listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool ok = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return ok;
}

grpc::Status Describe(v1::TensorStore::Stub& stub, const std::string& model,
                      const std::string& tensor) {
  grpc::ClientContext context;
  v1::GetMetadataRequest request;
  v1::GetMetadataResponse response;
  request.set_model(model);
  request.set_tensor(tensor);
  return stub.GetMetadata(&context, request, &response);
}

// Asks until the server knows the tensor; any answer but "still starting" ends the program.
void WaitUntilReady(const std::string& path, const std::string& model, const std::string& tensor) {
  const double begin = NowSeconds();
  const auto wait = [&] {
    if (NowSeconds() - begin > kGiveUpSeconds) Die("the server does not become ready");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  while (!Listens(path)) wait();
  const auto stub = v1::TensorStore::NewStub(
      grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials()));
  while (true) {
    const grpc::Status status = Describe(*stub, model, tensor);
    if (status.ok()) return;
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE) Die(status.error_message());
    wait();
  }
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
