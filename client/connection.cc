#include "client/connection.h"

#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/version_info.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/address.h"
#include "client/cancellation_scope.h"
#include "client/channel_credentials.h"
#include "client/raw_stream.h"
#include "proto/convert.h"
#include "src/error.h"
#include "src/request_id.h"
#include "src/status_macros.h"
#include "src/window_sign.h"

namespace tensord {
namespace {

// A server that restarts is found again soon, and a crowd of workers does not hammer it.
constexpr int kFirstReconnectMs = 100;
constexpr int kLastReconnectMs = 5'000;

// Whether gRPC allows more whenever a reader waits, which our sign asks for. Known of this version.
constexpr bool kSaysWhatItHasRead = GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR == 51;

// A lost server makes gRPC ask the name service again; a new one is found within this.
constexpr int kResolutionPauseMs = 1'000;

// How soon a wait for a connection notices a cancellation.
constexpr absl::Duration kCancellationPoll = absl::Milliseconds(20);

// How long to wait for gRPC's reason why there is no connection; it knows it already, if at all.
constexpr absl::Duration kExplanationTimeout = absl::Milliseconds(200);

// How long a server that is there may take to answer a ping.
constexpr absl::Duration kLongestPing = absl::Seconds(20);
constexpr absl::Duration kShortestKeepalive = absl::Seconds(1);

int ToMilliseconds(absl::Duration duration) {
  return static_cast<int>(
      std::min<int64_t>(absl::ToInt64Milliseconds(duration), std::numeric_limits<int>::max()));
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target, const ClientOptions& options,
                                           const std::shared_ptr<grpc::ChannelCredentials>& how) {
  grpc::ChannelArguments arguments;
  // Each client has a connection of its own, whatever other clients the process has.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A stream that has delivered a byte is never retried by gRPC, so retrying is ours altogether.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kLastReconnectMs);
  // $http_proxy is meant for the web; a sidecar on loopback is not reached through it.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // gRPC 1.51 lets a connection run ahead of its readers only where it may measure the line; else
  // each message waits until the one before it is read, a round trip each.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 1);
  if (kSaysWhatItHasRead) arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kWindowSign);
  // A host that is gone sends no reset: without pings a read would wait for it for ever.
  const absl::Duration interval = options.keepalive_interval;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, ToMilliseconds(interval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ToMilliseconds(std::min(interval, kLongestPing)));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // We only receive: no limit.
  // Calls go round all servers that the address stands for; a call that is made again goes to the
  // next one.
  arguments.SetLoadBalancingPolicyName("round_robin");
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, kResolutionPauseMs);
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  return grpc::CreateCustomChannel(target, how, arguments);
}

// Where a server, or a proxy for it, says when to come again.
constexpr char kPushbackTrailer[] = "grpc-retry-pushback-ms";

std::chrono::system_clock::time_point ToGrpcDeadline(absl::Time deadline) {
  return absl::ToChronoTime(deadline);
}

absl::Status CheckOptions(const ClientOptions& options) {
  if (options.connect_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "connect_timeout is ", absl::FormatDuration(options.connect_timeout), ", not positive"));
  }
  if (options.first_backoff <= absl::ZeroDuration() ||
      options.last_backoff < options.first_backoff) {
    return absl::InvalidArgumentError(absl::StrCat(
        "backoff goes from ", absl::FormatDuration(options.first_backoff), " to ",
        absl::FormatDuration(options.last_backoff), ", wanted are positive, ascending times"));
  }
  if (options.max_resumes_without_progress < 0) {
    return absl::InvalidArgumentError(absl::StrCat("max_resumes_without_progress is ",
                                                   options.max_resumes_without_progress,
                                                   ", not at least 0"));
  }
  if (options.keepalive_interval < kShortestKeepalive) {
    return absl::InvalidArgumentError(
        absl::StrCat("keepalive_interval is ", absl::FormatDuration(options.keepalive_interval),
                     ", wanted is at least ", absl::FormatDuration(kShortestKeepalive)));
  }
  if (options.num_async_threads == 0) {
    return absl::InvalidArgumentError("num_async_threads is 0, at least 1 is needed");
  }
  if (options.max_message_bytes <= options.chunk_bytes || options.max_message_bytes > INT32_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_message_bytes is ", options.max_message_bytes,
                     ", wanted is above chunk_bytes (", options.chunk_bytes, ") and below 2 GiB"));
  }
  return absl::OkStatus();
}

}  // namespace

Connection::Connection(std::string address, const ClientOptions& options,
                       std::shared_ptr<grpc::Channel> channel, std::unique_ptr<TokenSource> token)
    : address_(std::move(address)),
      options_(options),
      channel_(std::move(channel)),
      token_(std::move(token)),
      stub_(v1::TensorStore::NewStub(channel_)),
      generic_stub_(channel_) {}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Create(absl::string_view address,
                                                               const ClientOptions& options) {
  TENSORD_RETURN_IF_ERROR(CheckOptions(options));
  TENSORD_ASSIGN_OR_RETURN(std::string target, ParseAddress(address));
  TENSORD_ASSIGN_OR_RETURN(auto credentials, MakeChannelCredentials(address, target, options));
  TENSORD_ASSIGN_OR_RETURN(auto token, TokenSource::Create(options));
  return std::unique_ptr<Connection>(new Connection(
      std::string(address), options, MakeChannel(target, options, credentials), std::move(token)));
}

absl::Status Connection::Retry(const Call& call, absl::FunctionRef<AttemptEnd()> attempt,
                               absl::FunctionRef<uint64_t()> progress) const {
  return RetryLoop(options_, call).Run([&] { return WaitForConnection(call); }, attempt, progress);
}

AttemptEnd Connection::Stream(absl::string_view method, absl::string_view request, const Call& call,
                              OnMessage on_message) const {
  absl::Status handled;
  const absl::Status status = Run(call, [&](grpc::ClientContext& context) {
    RawStream stream(generic_stub_, context, absl::StrCat("/tensord.v1.TensorStore/", method),
                     request);
    while (const std::optional<PieceCursor> message = stream.Read()) {
      handled = on_message(*message);
      if (handled.ok()) continue;
      context.TryCancel();
      break;
    }
    return stream.Finish();
  });
  if (!handled.ok()) return {handled, /*is_final=*/true};
  return {status};
}

absl::Status Connection::Run(const Call& call,
                             absl::FunctionRef<grpc::Status(grpc::ClientContext&)> rpc) const {
  // Shared with the cancelling thread, which may still hold it when the call has ended.
  const auto context = std::make_shared<grpc::ClientContext>();
  if (call.deadline != absl::InfiniteFuture()) context->set_deadline(ToGrpcDeadline(call.deadline));
  if (token_->has_token()) {
    context->AddMetadata("authorization", absl::StrCat("Bearer ", token_->Get()));
  }
  std::deque<CancellationScope> scopes;
  for (const Cancellation& cancellation : call.cancellations) {
    scopes.emplace_back(cancellation, [context] { context->TryCancel(); });
  }
  if (!call.request_id.empty()) context->AddMetadata(kRequestIdKey, call.request_id);
  const grpc::Status status = rpc(*context);
  absl::Status translated = Translate(status, *context);
  // A server whose patience ends cancels what still runs; here nobody wished that.
  if (absl::IsCancelled(translated) && !call.IsCancelled()) {
    translated = absl::UnavailableError(absl::StrCat(address_, ": the server cancelled the call"));
  }
  if (!translated.ok() && !call.request_id.empty()) {
    SetErrorDetail(translated, kRequestIdDetail, call.request_id);
  }
  return translated;
}

absl::Status Connection::WaitForConnection(const Call& call) const {
  const absl::Time until = std::min(call.deadline, absl::Now() + call.connect_timeout);
  while (true) {
    if (call.IsCancelled()) return absl::CancelledError("the call was cancelled");
    const grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) return absl::OkStatus();
    const absl::Time now = absl::Now();
    if (now >= until) return ExplainNoConnection(call);
    channel_->WaitForStateChange(state, ToGrpcDeadline(std::min(until, now + kCancellationPoll)));
  }
}

// gRPC tells why it has no connection only through a call that fails for it.
absl::Status Connection::ExplainNoConnection(const Call& call) const {
  grpc::ClientContext context;
  context.set_deadline(ToGrpcDeadline(absl::Now() + kExplanationTimeout));
  v1::ListModelsRequest request;
  request.set_page_size(1);
  v1::ListModelsResponse response;
  const grpc::Status status = stub_->ListModels(&context, request, &response);
  if (channel_->GetState(false) == GRPC_CHANNEL_READY) return absl::OkStatus();

  const std::string cause = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED
                                ? "it does not answer"
                                : status.error_message();
  if (call.deadline <= absl::Now()) {
    return absl::DeadlineExceededError(
        absl::StrCat("no connection to ", address_, " before the deadline: ", cause));
  }
  return absl::UnavailableError(absl::StrCat("no connection to ", address_, " within ",
                                             absl::FormatDuration(call.connect_timeout), ": ",
                                             cause));
}

absl::Status Connection::Translate(const grpc::Status& status,
                                   const grpc::ClientContext& context) const {
  absl::Status translated = FromGrpc(status);
  if (translated.ok()) return translated;
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto pushback = trailers.find(kPushbackTrailer);
  uint32_t milliseconds = 0;
  if (pushback != trailers.end() && !RetryDelay(translated) &&
      absl::SimpleAtoi(absl::string_view(pushback->second.data(), pushback->second.size()),
                       &milliseconds)) {
    SetErrorDetail(translated, kRetryDetail, absl::StrCat(milliseconds));
  }
  const bool from_grpc = ReasonOf(translated) == ErrorReason::kUnspecified;
  if (from_grpc && absl::IsUnavailable(translated)) return Annotate(translated, address_);
  return translated;
}

}  // namespace tensord
