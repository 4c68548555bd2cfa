#include "server/server.h"

#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "grpc/health/v1/health.pb.h"
#include "server/exposure.h"
#include "server/reflection_service.h"
#include "server/send_guard.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// At most 4 MiB lie in a send buffer (Linux's tcp_wmem): enough for a client that reads 8 MiB/s.
constexpr std::chrono::milliseconds kLinger(500);

// For connections whose clients do not go when they are told to: no call runs any more then.
constexpr std::chrono::milliseconds kFarewell(100);

// What a burst of buffers took is the system's again after one to two of these; what is in steady
// use is used many times in each.
constexpr std::chrono::milliseconds kReleaseInterval(1000);

// For calls that run when their connection is too old.
constexpr int kConnectionAgeGraceMs = 5 * 60'000;

// Clients are told this and keep further calls in their own queues.
constexpr int kMaxCallsPerConnection = 128;

// For clients that were not told yet: gRPC admits what comes before the client has acknowledged the
// limit, and closes the whole connection of one that exceeds it later.
constexpr size_t kMaxStreamsPerConnection = kMaxCallsPerConnection;

constexpr int kMaxMetadataBytes = 8 << 10;  // gRPC's default, made explicit.
constexpr int kKeepaliveTimeMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kMinPingIntervalMs = 20'000;  // Our own client pings each 30 s.

// Of unary answers that have not left: 32 pages of the largest size.
constexpr size_t kAnswerMemoryBytes = size_t{32} << 20;

// Each keeps some 30 KiB where nobody reads what it answers. Tools have one or two.
constexpr ActiveStreams::Limits kReflectionCalls{.max_streams = 256, .max_streams_per_peer = 16};

constexpr char kHealthService[] = "grpc.health.v1.Health";

absl::StatusOr<std::vector<Listener>> OpenAll(const ServerOptions& options) {
  std::vector<Listener> listeners;
  for (const std::string& address : options.listen) {
    TENSORD_ASSIGN_OR_RETURN(std::vector<Listener> opened,
                             Listener::Open(address, options.unix_socket_mode));
    for (Listener& listener : opened) listeners.push_back(std::move(listener));
  }
  return listeners;
}

void Configure(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.max_request_bytes);
  builder.SetMaxSendMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsPerConnection);
  if (options.max_connection_age.count() > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               static_cast<int>(options.max_connection_age.count()));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, kConnectionAgeGraceMs);
  }
  // Tensors do not compress, and a compressed request may be a bomb.
  for (const auto algorithm : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(algorithm, false);
  }
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  // Finds hosts that have gone without a word, and peers that do not go on with what they began.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // Of ours: no limit.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             static_cast<int>(options.guard.handshake_timeout.count()));
  // Measured as a loss on loopback, and CVE-2024-11407 in this release of gRPC.
  builder.AddChannelArgument("grpc.experimental.tcp_tx_zerocopy_enabled", 0);
}

std::shared_ptr<GuardContext> MakeGuard(const ServerOptions& options) {
  auto context = std::make_shared<GuardContext>();
  context->limits = options.guard;
  // Two of the largest requests are no attack.
  context->limits.inbound_burst_bytes = std::max(
      options.guard.inbound_burst_bytes, 2 * static_cast<uint64_t>(options.max_request_bytes));
  context->limits.peer_request_bytes = std::max(
      options.guard.peer_request_bytes, 2 * static_cast<uint64_t>(options.max_request_bytes));
  context->report = options.guard_report;
  context->refusals = options.refusal_report;
  return context;
}

std::vector<CallObserver*> Observers(CallObserver* given, CallObserver* own) {
  return given == nullptr ? std::vector{own} : std::vector{given, own};
}

// gRPC has a thread for each core: one is left for messages that need no work.
size_t MaxTurns() { return std::max(2u, std::thread::hardware_concurrency()) - 1; }

}  // namespace

Server::Server(const ServerOptions& options, const LiveCatalog* catalog,
               std::shared_ptr<BufferBudget> buffers, std::shared_ptr<BufferBudget> answer_buffers,
               std::unique_ptr<Credentials> credentials)
    : buffers_(std::move(buffers)),
      release_(kReleaseInterval,
               [this, answer_buffers] {
                 buffers_->ReleaseUnused();
                 answer_buffers->ReleaseUnused();
               }),
      credentials_(std::move(credentials)),
      guard_(MakeGuard(options)),
      faults_([catalog, observer = options.on_file_fault](const FileFault& fault) {
        catalog->RequestRescan();
        if (observer) observer(fault);
      }),
      io_(options.io_threads),
      closer_(options.closer != nullptr ? options.closer : std::make_shared<FileCloser>()),
      polling_(PollingThreads::OfGrpc(),
               [this](std::function<void()> work) { poster_->Post(std::move(work)); }),
      observers_(Observers(options.observer, &polling_)),
      service_(catalog, &credentials_->access(), &queue_,
               {.chunk_bytes = options.chunk_bytes,
                .streams = {options.max_streams, kMaxStreamsPerConnection},
                .stall_timeout = options.stall_timeout,
                .buffers = buffers_,
                .answer_buffers = std::move(answer_buffers),
                .max_turns = MaxTurns(),
                .io = &io_,
                .faults = &faults_,
                .observer = &observers_}),
      reflection_calls_(kReflectionCalls),
      reflection_watch_(&reflection_calls_, options.stall_timeout) {
  guard_->crowded = [this] { polling_.Crowded(); };
  closer_->SetPost([this](const FilePlace& place, std::function<void()> close) {
    io_.Post({.place = place, .run = std::move(close)});
  });
}

void Server::MakeReflection() {
  // gRPC's health service brings no descriptors; naming one links them in.
  const std::vector<std::string> services = {
      v1::TensorStore::service_full_name(),
      grpc::health::v1::HealthCheckRequest::descriptor() != nullptr ? kHealthService : ""};
  const Access* const access = &credentials_->access();
  reflection_.push_back(MakeReflectionV1(services, access, &reflection_calls_));
  reflection_.push_back(MakeReflectionV1Alpha(services, access, &reflection_calls_));
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const LiveCatalog* catalog) {
  TENSORD_RETURN_IF_ERROR(CheckExposure(options));
  TENSORD_ASSIGN_OR_RETURN(std::unique_ptr<Credentials> credentials,
                           Credentials::Load(options.credentials, options.on_credentials));
  TENSORD_ASSIGN_OR_RETURN(std::vector<Listener> listeners, OpenAll(options));
  TENSORD_ASSIGN_OR_RETURN(std::shared_ptr<BufferBudget> buffers,
                           BufferBudget::Create(options.buffer_memory_bytes));
  TENSORD_ASSIGN_OR_RETURN(std::shared_ptr<BufferBudget> answer_buffers,
                           BufferBudget::Create(kAnswerMemoryBytes));
  InstallSendGuard();
  auto server = std::unique_ptr<Server>(new Server(
      options, catalog, std::move(buffers), std::move(answer_buffers), std::move(credentials)));
  for (const Listener& listener : listeners) server->Name(listener);
  const bool reflects = options.reflection == Reflection::kAuto
                            ? server->remote_addresses_.empty()
                            : options.reflection == Reflection::kOn;
  if (reflects) server->MakeReflection();

  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  Configure(options, builder);
  builder.RegisterService(&server->service_);
  for (const auto& service : server->reflection_) builder.RegisterService(service.get());
  server->acceptor_ =
      std::make_unique<Acceptor>(std::move(listeners), options.unix_allow_uids, server->guard_,
                                 server->credentials_->ForTcp(), builder);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr) return absl::InternalError("gRPC refuses to start a server");
  server->poster_ = std::make_unique<InProcessPoster>(*server->server_);
  server->SetServing(false);
  TENSORD_RETURN_IF_ERROR(server->acceptor_->Start(server->server_.get()));
  return server;
}

Server::~Server() {
  if (server_ != nullptr) Shutdown(std::chrono::milliseconds(0));
  closer_->SetPost(nullptr);
}

void Server::Name(const Listener& listener) {
  addresses_.push_back(listener.address());
  if (listener.is_remote()) remote_addresses_.push_back(listener.address());
  if (port_ == 0) port_ = listener.port();
}

void Server::SetServing(bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(v1::TensorStore::service_full_name(), serving);
}

void Server::Shutdown(std::chrono::milliseconds grace) {
  const auto deadline = std::chrono::steady_clock::now() + grace;
  acceptor_->StopAccepting();
  // gRPC closes a connection with its last stream, and the system then drops what the client has
  // not fetched yet: so streams end first, and clients get a moment for the rest.
  if (service_.Drain(deadline) > 0) {
    std::this_thread::sleep_until(std::min(deadline, std::chrono::steady_clock::now() + kLinger));
  }
  polling_.Release();
  server_->Shutdown(std::chrono::system_clock::now() + kFarewell);
  server_->Wait();
  acceptor_->Stop();
  poster_.reset();
  server_.reset();
}

}  // namespace tensord
