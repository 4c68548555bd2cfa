// The answers of unary calls, until their clients have read them.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <optional>

#include "absl/status/status.h"
#include "server/active_streams.h"
#include "server/buffer_budget.h"

namespace tensord {

// A page of names has up to 1 MiB, and a client may ask for many and read none. So whatever is
// larger than a few lines lies in memory that peers share, and is ended when nobody takes it.
// Deletes itself once gRPC is done with the call, which comes only after Finish.
class AnswerReactor final : public grpc::ServerUnaryReactor {
 public:
  // What calls share; all of it outlives them.
  struct Room {
    ActiveStreams* answers = nullptr;
    BufferBudget* buffers = nullptr;
  };

  // Keeps room for an answer of up to `size` bytes that takes long to make: what is refused should
  // cost little, and what waits to be made be few. Errors as of Hold.
  absl::Status Expect(size_t size, grpc::CallbackServerContext& context, const Room& room);

  // Writes `answer` down as `response`, which Finish is to send next. Errors: TOO_MANY_STREAMS,
  // OUT_OF_BUFFERS, with a hint when to retry.
  absl::Status Hold(const google::protobuf::MessageLite& answer,
                    grpc::CallbackServerContext& context, const Room& room,
                    grpc::ByteBuffer* response);

 private:
  void OnDone() override { delete this; }
  // Counts this answer, once.
  absl::Status Enter(grpc::CallbackServerContext& context, const Room& room);

  std::optional<ActiveStreams::Token> token_;
  std::optional<BufferBudget::Buffer> expected_;
};

}  // namespace tensord
