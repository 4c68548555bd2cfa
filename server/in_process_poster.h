// Work for the threads that poll gRPC's queue.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>

#include <condition_variable>
#include <cstddef>
#include <functional>

#include "src/mutex.h"

namespace tensord {

// Thread-safe.
class InProcessPoster {
 public:
  // The server has to run, and to outlive this.
  explicit InProcessPoster(grpc::Server& server);
  // Waits until all work has been done. Not to be called by work: a polling thread that drops the
  // last channel of a process would wait for itself.
  ~InProcessPoster();
  InProcessPoster(const InProcessPoster&) = delete;
  InProcessPoster& operator=(const InProcessPoster&) = delete;

  // Runs `work` soon on one of the threads that poll, which it may keep. gRPC offers no way but the
  // end of a call: this is one to nobody, which stays in memory.
  void Post(std::function<void()> work);

 private:
  struct Call;
  void Began();
  void Ended();

  grpc::GenericStub stub_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  size_t num_calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tensord
