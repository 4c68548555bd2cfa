#include "server/call_canceller.h"

#include <grpc/grpc.h>

#include <memory>

#include "proto/status_details.h"

namespace tensord {

ActiveStreams::Cancel CancellerOf(grpc::CallbackServerContext& context) {
  grpc_call* const call = context.c_call();
  grpc_call_ref(call);
  const std::shared_ptr<grpc_call> held(call, &grpc_call_unref);
  return [held](const absl::Status& status) {
    grpc_call_cancel_with_status(held.get(), static_cast<grpc_status_code>(status.code()),
                                 BareMessage(status).c_str(), nullptr);
  };
}

}  // namespace tensord
