#include "server/in_process_poster.h"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <utility>

namespace tensord {

struct InProcessPoster::Call {
  // Ends when nothing of the call holds the channel any more.
  struct Count {
    explicit Count(InProcessPoster* p) : poster(p) { poster->Began(); }
    ~Count() { poster->Ended(); }
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    InProcessPoster* const poster;
  };

  explicit Call(InProcessPoster* poster) : count(poster) {}

  Count count;  // First, because it ends last.
  grpc::ClientContext context;
  grpc::Slice nothing;
  grpc::ByteBuffer request{&nothing, 1};
  grpc::ByteBuffer response;
};

InProcessPoster::InProcessPoster(grpc::Server& server)
    : stub_(server.InProcessChannel(grpc::ChannelArguments())) {}

InProcessPoster::~InProcessPoster() {
  const MutexLock lock(mutex_);
  while (num_calls_ > 0) changed_.wait(mutex_);
}

void InProcessPoster::Post(std::function<void()> work) {
  auto call = std::make_shared<Call>(this);
  Call* const borrowed = call.get();
  stub_.UnaryCall(
      &borrowed->context, "/tensord/Nobody", grpc::StubOptions(), &borrowed->request,
      &borrowed->response,
      [call = std::move(call), work = std::move(work)](const grpc::Status&) { work(); });
}

void InProcessPoster::Began() {
  const MutexLock lock(mutex_);
  ++num_calls_;
}

void InProcessPoster::Ended() {
  const MutexLock lock(mutex_);
  // Under the lock: whoever waits for the last one destroys this.
  if (--num_calls_ == 0) changed_.notify_all();
}

}  // namespace tensord
