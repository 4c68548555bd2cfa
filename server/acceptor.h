// Accepts connections and hands them to gRPC.
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <sys/epoll.h>
#include <sys/types.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "server/connection_guard.h"
#include "server/listener.h"
#include "src/owned_fd.h"

namespace tensord {

// Our own accept loop, because gRPC's ends for ever at the first error such as "too many open
// files", steals a Unix socket that is in use, lets nobody set a socket's buffers, and takes
// whoever comes. Every connection goes through the guard.
class Acceptor {
 public:
  // Registers with the builder; the server is built after this. `tls`: what TCP connections have to
  // speak; null: nothing, they are plaintext. `unix_allow_uids`: users whose processes may connect
  // to Unix sockets; empty: all.
  Acceptor(std::vector<Listener> listeners, std::vector<uid_t> unix_allow_uids,
           std::shared_ptr<GuardContext> guard, const std::shared_ptr<grpc::ServerCredentials>& tls,
           grpc::ServerBuilder& builder);
  // As Stop.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Begins to accept for `server`, which must outlive Stop. Errors: RESOURCE_EXHAUSTED.
  absl::Status Start(grpc::Server* server);

  // Closes the listeners, and connections that have not spoken yet; the others stay, and their ends
  // are still seen. Once only.
  void StopAccepting();

  // Watches no more; connections stay. May be called twice.
  void Stop();

 private:
  // `operation`: as for epoll_ctl.
  absl::Status Poll(int operation, int fd, uint32_t events, uint64_t tag);
  void Wake();
  void Run();
  // Returns false once the loop is to end.
  bool Handle(absl::Span<const epoll_event> events);
  void Ended(ConnectionGuard::ConnectionId id);
  void Speaks(ConnectionGuard::ConnectionId id);
  void Accept(const Listener& listener, ListenerCounters& counters);
  AcceptResult Admit(OwnedFd connection, const std::string& peer, const Listener& listener,
                     ListenerCounters& counters);
  void Offered(AcceptResult result, const std::string& peer, ListenerCounters& counters);
  void Hand(int connection, const Listener& listener);
  // What StopAccepting is about, in the loop's thread.
  void CloseListeners();
  // Hands on whose time has come.
  void HandWaiting(ConnectionGuard::Clock::time_point now);
  // How long the loop may sleep; -1: until something comes.
  int PatienceMs(size_t num_silent, ConnectionGuard::Clock::time_point now) const;
  // Makes room to refuse one connection when no descriptor is left.
  void RefuseOne(const Listener& listener);

  // A connection whose client has not said anything, or whose peer has to wait: gRPC does not know
  // of it yet, and it costs two descriptors. At most max_connections.
  struct Waiting {
    ConnectionGuard::Admission admission;
    OwnedFd fd;
    const Listener* listener;
    int polled;  // The guard's descriptor of it.
    bool has_spoken = false;
  };

  std::vector<Listener> listeners_;
  std::vector<ListenerCounters*> counters_;  // Of each listener; in `context_`.
  const std::vector<uid_t> unix_allow_uids_;
  const std::shared_ptr<GuardContext> context_;
  const bool is_encrypted_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> tcp_;
  grpc::Server* server_ = nullptr;
  ConnectionGuard guard_;
  std::vector<Waiting> waiting_;
  size_t num_closing_ = 0;  // Connections that have ended and that gRPC has not closed yet.
  OwnedFd poller_;          // An epoll of listeners, connections' duplicates and `wake_`.
  OwnedFd wake_;            // An eventfd: readable when the loop is to stop accepting, or to end.
  OwnedFd spare_;           // Given up to accept and refuse a connection when descriptors run out.
  std::atomic<bool> is_ending_ = false;  // What `wake_` means.
  std::promise<void> has_closed_listeners_;
  std::thread thread_;
};

}  // namespace tensord
