// The daemon as an object: the same in production and in tests.
#pragma once

#include <grpcpp/server.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/acceptor.h"
#include "server/active_streams.h"
#include "server/call_context.h"
#include "server/call_observers.h"
#include "server/chunk_options.h"
#include "server/credentials.h"
#include "server/file_faults.h"
#include "server/in_process_poster.h"
#include "server/io_pool.h"
#include "server/polling_threads.h"
#include "server/stall_watch.h"
#include "server/tensor_service.h"
#include "server/ticker.h"
#include "server/work_queue.h"
#include "src/file_closer.h"
#include "src/live_catalog.h"

namespace tensord {

// `auto`: on, unless an address can be reached from other machines.
enum class Reflection { kOn, kOff, kAuto };

struct ServerOptions {
  std::vector<std::string> listen = {"127.0.0.1:50051"};  // As Listener::Open takes them.
  mode_t unix_socket_mode = 0660;
  std::vector<uid_t> unix_allow_uids;  // Empty: whoever the mode lets in.
  CredentialOptions credentials;
  bool insecure_allow_remote = false;  // See CheckExposure.
  Credentials::OnReport on_credentials = [](const CredentialReport&) {};
  uint32_t chunk_bytes = kDefaultChunkBytes;  // Clamped when a request does not ask otherwise.
  int max_request_bytes = 4 << 20;
  size_t buffer_memory_bytes = 64 << 20;            // At least BufferBudget::kMinLimitBytes.
  size_t io_threads = IoPool::DefaultThreads();     // At least 2.
  size_t max_streams = 1024;                        // At once, of all clients.
  std::chrono::milliseconds stall_timeout{60'000};  // 0: streams may stall for ever.
  std::chrono::milliseconds max_connection_age{0};  // 0: connections may live for ever.
  Reflection reflection = Reflection::kAuto;
  GuardLimits guard;
  GuardReport guard_report;      // May be empty.
  RefusalReport refusal_report;  // May be empty.
  // While the server lives, what it is given to close is closed by the server's I/O threads. Null:
  // nothing is given.
  std::shared_ptr<FileCloser> closer;
  FileFaults::Observer on_file_fault;  // May be null.
  CallObserver* observer = nullptr;    // Of every call; outlives the server.
};

// Serves from Start to Shutdown. Thread-safe.
class Server {
 public:
  // Serves what `catalog` holds, which must outlive the server; until it holds something, calls
  // are answered UNAVAILABLE (STARTING). A file that breaks makes it ask for a rescan.
  // Errors: as CheckExposure, Credentials::Load and Listener::Open.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const LiveCatalog* catalog);

  // Shuts down at once.
  ~Server();

  // Of the first TCP address; 0 when there is none.
  int port() const { return port_; }
  // Of all listeners, as a client dials them, ports filled in.
  const std::vector<std::string>& addresses() const { return addresses_; }
  // Those of them that other machines can reach.
  const std::vector<std::string>& remote_addresses() const { return remote_addresses_; }

  const Credentials& credentials() const { return *credentials_; }
  // See Credentials::ReloadNow.
  void ReloadCredentials() { credentials_->ReloadNow(); }

  // What health says of `tensord.v1.TensorStore`; not serving at first. The service "" is always
  // serving: the process is alive.
  void SetServing(bool serving);

  // That run now.
  size_t num_streams() const { return service_.streams().size(); }
  // Those of them that wait for their turn, or for memory.
  size_t num_waiting_streams() const { return service_.turns().num_waiting(); }
  // In messages that have not left.
  size_t buffer_bytes() const { return buffers_->used_bytes(); }
  // Since the start.
  FileFaults::Counts file_faults() const { return faults_.counts(); }

  // What the connection guard refused and closed.
  const GuardCounters& guard() const { return guard_->counters; }

  // Accepts no more, lets running calls end within `grace`, then ends them: streams with DRAINING.
  // Returns when all have ended. Once only.
  void Shutdown(std::chrono::milliseconds grace);

 private:
  Server(const ServerOptions& options, const LiveCatalog* catalog,
         std::shared_ptr<BufferBudget> buffers, std::shared_ptr<BufferBudget> answer_buffers,
         std::unique_ptr<Credentials> credentials);

  void Name(const Listener& listener);
  void MakeReflection();

  const std::shared_ptr<BufferBudget> buffers_;
  const Ticker release_;                            // Of buffers that have no use now.
  const std::unique_ptr<Credentials> credentials_;  // Before all that serves calls.
  const std::shared_ptr<GuardContext> guard_;
  FileFaults faults_;
  WorkQueue queue_;  // These two before the service, because streams use them up to their end.
  IoPool io_;
  const std::shared_ptr<FileCloser> closer_;  // Never null; posts to io_.
  PollingThreads polling_;
  CallObservers observers_;
  TensorService service_;
  ActiveStreams reflection_calls_;
  const StallWatch reflection_watch_;
  std::vector<std::unique_ptr<grpc::Service>> reflection_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<InProcessPoster> poster_;
  std::vector<std::string> addresses_;
  std::vector<std::string> remote_addresses_;
  int port_ = 0;
};

}  // namespace tensord
