// Work for the threads that poll gRPC's queue.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>

#include <functional>

namespace tensord {

// Thread-safe.
class InProcessPoster {
 public:
  // The server has to run, and to outlive this.
  explicit InProcessPoster(grpc::Server& server);

  // Runs `work` soon on one of the threads that poll, which it may keep. gRPC offers no way but the
  // end of a call: this is one to nobody, which stays in memory.
  void Post(std::function<void()> work);

 private:
  grpc::GenericStub stub_;
};

}  // namespace tensord
