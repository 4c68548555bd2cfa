// One gRPC channel: the only place that issues calls.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/call.h"
#include "client/piece_cursor.h"
#include "client/retry_loop.h"
#include "client/token_source.h"
#include "tensord/client_options.h"
#include "tensord/v1/tensord.grpc.pb.h"

namespace tensord {

// Thread-safe.
class Connection {
 public:
  // Touches no network. INVALID_ARGUMENT as Client::Connect.
  static absl::StatusOr<std::unique_ptr<Connection>> Create(absl::string_view address,
                                                            const ClientOptions& options);

  const ClientOptions& options() const { return options_; }

  // Sends `request` and waits for the answer, again where that may help.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Ask(grpc::Status (v1::TensorStore::Stub::*method)(grpc::ClientContext*,
                                                                             const Request&,
                                                                             Response*),
                               const Request& request, const Call& call) const {
    Response response;
    const auto attempt = [&]() -> AttemptEnd {
      return {Run(call, [&](grpc::ClientContext& context) {
        return (stub_.get()->*method)(&context, request, &response);
      })};
    };
    const absl::Status status = Retry(call, attempt, [] { return uint64_t{0}; });
    if (!status.ok()) return status;
    return response;
  }

  // Takes the bytes of one message, which live for the call only. An error ends the stream.
  using OnMessage = absl::FunctionRef<absl::Status(PieceCursor message)>;

  // Runs `attempt`, which calls Stream, as often as RetryLoop says; each time with a connection.
  absl::Status Retry(const Call& call, absl::FunctionRef<AttemptEnd()> attempt,
                     absl::FunctionRef<uint64_t()> progress) const;

  // Sends `request`, an encoded message, once and hands on each message of the answering stream,
  // one at a time; what is not asked for yet waits within gRPC's flow control. `method` is an RPC's
  // name, e.g. "GetTensor". An error of `on_message` is final.
  AttemptEnd Stream(absl::string_view method, absl::string_view request, const Call& call,
                    OnMessage on_message) const;

 private:
  Connection(std::string address, const ClientOptions& options,
             std::shared_ptr<grpc::Channel> channel, std::unique_ptr<TokenSource> token);

  // Runs `rpc` with a context that obeys `call`, and translates its status.
  absl::Status Run(const Call& call,
                   absl::FunctionRef<grpc::Status(grpc::ClientContext&)> rpc) const;
  absl::Status WaitForConnection(const Call& call) const;
  absl::Status ExplainNoConnection(const Call& call) const;
  absl::Status Translate(const grpc::Status& status, const grpc::ClientContext& context) const;

  const std::string address_;  // As the user wrote it.
  const ClientOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<TokenSource> token_;
  const std::unique_ptr<v1::TensorStore::Stub> stub_;
  mutable grpc::GenericStub generic_stub_;  // Thread-safe, but its methods are not const.
};

}  // namespace tensord
