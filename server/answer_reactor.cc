#include "server/answer_reactor.h"

#include <grpcpp/support/slice.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "server/call_canceller.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// As many of these as calls may run fit into 32 MiB.
constexpr size_t kSmallBytes = 1 << 10;

// Memory comes in pieces of this size where it does not come in one.
constexpr size_t kLeastBytes = 64 << 10;

grpc::Slice SliceOf(BufferBudget::Buffer buffer) {
  auto* const held = new BufferBudget::Buffer(std::move(buffer));
  return grpc::Slice(
      held->data(), held->size(),
      [](void* data) { delete static_cast<BufferBudget::Buffer*>(data); }, held);
}

absl::Status OutOfBuffers() {
  return MakeError(ErrorReason::kOutOfBuffers,
                   "the memory for answers is in use by clients that read slowly",
                   {{"retry_ms", "1000"}});
}

}  // namespace

absl::Status AnswerReactor::Enter(grpc::CallbackServerContext& context, const Room& room) {
  if (token_) return absl::OkStatus();
  TENSORD_ASSIGN_OR_RETURN(ActiveStreams::Token token,
                           room.answers->Begin(context.peer(), CancellerOf(context)));
  token_.emplace(std::move(token));
  return absl::OkStatus();
}

absl::Status AnswerReactor::Expect(size_t size, grpc::CallbackServerContext& context,
                                   const Room& room) {
  TENSORD_RETURN_IF_ERROR(Enter(context, room));
  expected_ = room.buffers->Take(token_->peer(), size, size);
  return expected_ ? absl::OkStatus() : OutOfBuffers();
}

absl::Status AnswerReactor::Hold(const google::protobuf::MessageLite& answer,
                                 grpc::CallbackServerContext& context, const Room& room,
                                 grpc::ByteBuffer* response) {
  const std::string bytes = answer.SerializeAsString();
  expected_.reset();
  std::vector<grpc::Slice> slices;
  if (bytes.size() <= kSmallBytes) {
    slices.emplace_back(bytes);
  } else {
    TENSORD_RETURN_IF_ERROR(Enter(context, room));
    for (size_t done = 0; done < bytes.size();) {
      const size_t left = bytes.size() - done;
      auto buffer = room.buffers->Take(token_->peer(), left, std::min(left, kLeastBytes));
      if (!buffer) return OutOfBuffers();
      std::memcpy(buffer->data(), bytes.data() + done, buffer->size());
      done += buffer->size();
      slices.push_back(SliceOf(*std::move(buffer)));
    }
    token_->WaitsForClient();
  }
  *response = grpc::ByteBuffer(slices.data(), slices.size());
  return absl::OkStatus();
}

}  // namespace tensord
