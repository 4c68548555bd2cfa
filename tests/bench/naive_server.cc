// Yardstick: the server that one writes first. Generated synchronous service, each chunk copied
// into its message. Its sockets are as large as ours, so that only the code differs.
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/server_posix.h>

#include <algorithm>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "tensord/v1/tensord.grpc.pb.h"
#include "tests/bench/bench_main.h"
#include "tests/bench/sockets.h"

namespace tensord::bench {
namespace {

// Serves ranges of one file, whatever the model and tensor are called.
class NaiveService final : public v1::TensorStore::Service {
 public:
  explicit NaiveService(absl::Span<const std::byte> file) : file_(file) {}

  grpc::Status GetTensor(grpc::ServerContext*, const v1::GetTensorRequest* request,
                         grpc::ServerWriter<v1::TensorChunk>* writer) override {
    uint64_t offset = request->range().offset();
    uint64_t remaining = request->range().length();
    if (offset > file_.size() || remaining > file_.size() - offset) {
      return {grpc::StatusCode::OUT_OF_RANGE, "beyond the file"};
    }
    v1::TensorChunk chunk;
    v1::TensorPart* part = chunk.add_parts();
    while (remaining > 0) {
      const uint64_t size = std::min<uint64_t>(remaining, request->chunk_bytes());
      part->set_offset_bytes(offset);
      part->set_data(file_.data() + offset, size);
      if (!writer->Write(chunk)) return grpc::Status::CANCELLED;
      offset += size;
      remaining -= size;
    }
    return grpc::Status::OK;
  }

 private:
  const absl::Span<const std::byte> file_;
};

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  std::string listen, path;
  SocketTuning tuning;
  CLI::App app("Serves ranges of a file by plain gRPC and protobuf");
  app.add_option("--listen", listen)->required();
  app.add_option("--file", path)->required();
  app.add_option("--send-buffer", tuning.send_buffer_bytes);
  app.add_option("--congestion", tuning.congestion);
  CLI11_PARSE(app, argc, argv);

  KeepHeap();
  NaiveService service(MapFile(path));
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) Die("gRPC does not start");
  AcceptLoop(listen, tuning, [&](int fd) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    grpc::AddInsecureChannelFromFd(server.get(), fd);
  });
}
