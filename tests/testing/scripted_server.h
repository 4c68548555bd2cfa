// A server that says what a test wants, right or wrong.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "proto/status_details.h"
#include "src/mutex.h"
#include "tensord/v1/tensord.grpc.pb.h"

namespace tensord {

// Listens on 127.0.0.1. Each RPC is counted from 0 over the server's life. What is not scripted is
// UNIMPLEMENTED.
class ScriptedServer final : public v1::TensorStore::Service {
 public:
  using Chunks = grpc::ServerWriter<v1::TensorChunk>;
  template <typename Request>
  using Script = std::function<absl::Status(size_t call, const Request&, Chunks&)>;

  std::function<absl::Status(size_t call, grpc::ServerContext&, v1::ListModelsResponse&)> list;
  Script<v1::GetTensorRequest> get_tensor;
  Script<v1::GetTensorsRequest> get_tensors;

  ScriptedServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (!server_) std::abort();
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  size_t num_calls() const { return num_calls_; }

  grpc::Status ListModels(grpc::ServerContext* context, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* response) override {
    if (!list) return {grpc::StatusCode::UNIMPLEMENTED, "not scripted"};
    return ToGrpc(list(num_calls_++, *context, *response));
  }
  grpc::Status GetTensor(grpc::ServerContext*, const v1::GetTensorRequest* request,
                         Chunks* writer) override {
    if (!get_tensor) return {grpc::StatusCode::UNIMPLEMENTED, "not scripted"};
    return ToGrpc(get_tensor(num_calls_++, *request, *writer));
  }
  grpc::Status GetTensors(grpc::ServerContext*, const v1::GetTensorsRequest* request,
                          Chunks* writer) override {
    if (!get_tensors) return {grpc::StatusCode::UNIMPLEMENTED, "not scripted"};
    return ToGrpc(get_tensors(num_calls_++, *request, *writer));
  }

 private:
  int port_ = 0;
  std::atomic<size_t> num_calls_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// The first message of a stream of U8 vectors.
inline v1::TensorChunk StreamBegin(const std::string& version, uint32_t num_results,
                                   uint64_t size_bytes) {
  v1::TensorChunk chunk;
  chunk.mutable_info()->set_model("m");
  chunk.mutable_info()->set_version(version);
  chunk.mutable_info()->set_num_results(num_results);
  chunk.mutable_info()->set_size_bytes(size_bytes);
  return chunk;
}

// Adds bytes of a U8 vector, with its header, which is `size_bytes` long.
inline void AddResult(v1::TensorChunk& chunk, uint32_t result, const std::string& tensor,
                      uint64_t size_bytes, uint64_t offset, const std::string& data) {
  v1::TensorPart& part = *chunk.add_parts();
  part.set_result(result);
  part.mutable_header()->set_dtype("U8");
  part.mutable_header()->add_shape(size_bytes);
  part.mutable_header()->set_size_bytes(size_bytes);
  part.mutable_header()->set_tensor(tensor);
  part.mutable_header()->set_selection(result);
  part.set_offset_bytes(offset);
  part.set_data(data);
}

}  // namespace tensord
