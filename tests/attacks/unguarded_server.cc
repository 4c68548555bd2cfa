// What the attacks are compared with: a server as one writes it first, with gRPC's own accept loop
// and nothing around it. Only the attack table uses it.
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <signal.h>

#include <cstdio>
#include <memory>
#include <string>

#include "tensord/v1/tensord.grpc.pb.h"

namespace tensord {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr int kNumChunks = 1024;

// Sends 1 GiB of zeros, a message after the other.
class Zeros final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  Zeros() {
    const std::string zeros(kChunkBytes, '\0');
    const grpc::Slice slice(zeros);
    message_ = grpc::ByteBuffer(&slice, 1);
    Next();
  }

 private:
  void Next() {
    if (sent_++ < kNumChunks) return StartWrite(&message_);
    Finish(grpc::Status::OK);
  }
  void OnWriteDone(bool ok) override {
    if (ok) return Next();
    Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

  grpc::ByteBuffer message_;
  int sent_ = 0;
};

using Unary = v1::TensorStore::WithRawCallbackMethod_ListModels<v1::TensorStore::Service>;

class Service final : public v1::TensorStore::WithRawCallbackMethod_GetTensor<Unary> {
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* /*request*/,
                                       grpc::ByteBuffer* response) override {
    const grpc::Slice empty("");
    *response = grpc::ByteBuffer(&empty, 1);
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<grpc::ByteBuffer>* GetTensor(
      grpc::CallbackServerContext* /*context*/, const grpc::ByteBuffer* /*request*/) override {
    return new Zeros;
  }
};

int Serve(const std::string& listen) {
  grpc::EnableDefaultHealthCheckService(true);
  Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 128);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  const std::string address = port > 1 ? "127.0.0.1:" + std::to_string(port) : listen;
  std::fprintf(stderr, "listening address=%s\n", address.c_str());
  server->Wait();
  return 0;
}

}  // namespace
}  // namespace tensord

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  return argc == 2 ? tensord::Serve(argv[1]) : 2;
}
