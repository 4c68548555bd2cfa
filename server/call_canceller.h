// Ends a call from outside its reactor.
#pragma once

#include <grpcpp/server_context.h>

#include "server/active_streams.h"

namespace tensord {

// Cancels the call of `context` such that its client sees the status: a reactor cannot Finish while
// a write is outstanding, and TryCancel says CANCELLED, on which nobody resumes. gRPC sends only
// code and message then, no details, so that the message begins with the reason (BareMessage).
// Holds the call, but not its stream.
ActiveStreams::Cancel CancellerOf(grpc::CallbackServerContext& context);

}  // namespace tensord
