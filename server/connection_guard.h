// Who may connect, and who is connected.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "server/guard_counters.h"
#include "server/watched_connection.h"
#include "src/owned_fd.h"

namespace tensord {

// The connections of one server, from accept to their end. gRPC owns each socket; the guard keeps a
// second descriptor of it, by which it sees the end and can bring it about. Used by the accept
// loop's thread only; what passes over a connection is watched from gRPC's threads (wire_hooks).
class ConnectionGuard {
 public:
  using Clock = WatchedConnection::Clock;
  using ConnectionId = uint64_t;

  explicit ConnectionGuard(std::shared_ptr<GuardContext> context) : context_(std::move(context)) {}
  // Watches no more, and lets the connections be.
  ~ConnectionGuard();
  ConnectionGuard(const ConnectionGuard&) = delete;
  ConnectionGuard& operator=(const ConnectionGuard&) = delete;

  // Whether one more connection of the peer has a place.
  AcceptResult Admits(const std::string& peer) const;

  struct Admission {
    ConnectionId id = 0;        // Never used twice.
    Clock::time_point start{};  // When the connection may be handed to gRPC: now, or soon.
  };

  // Begins to watch the connection `fd`, which must be handed to gRPC after this. `duplicate` is
  // another descriptor of the same socket; `counters` are of its listener and outlive the guard.
  Admission Watch(int fd, OwnedFd duplicate, std::string name, bool is_unix, bool is_encrypted,
                  ListenerCounters& counters, Clock::time_point now);

  // It has come to its end on the network: nothing more will come or go. gRPC may still have to
  // read what has come before, so it keeps its place and stays under guard. Does nothing for an id
  // that is unknown.
  void Ended(ConnectionId id);

  // Forgets those that have ended and that gRPC has closed. Returns how many it has still to close.
  size_t ForgetClosed();

  // Closes those that have not begun to speak in time. Returns how many still have to.
  size_t CloseExpired(Clock::time_point now);

  size_t size() const { return connections_.size(); }

 private:
  struct Connection {
    int fd = -1;  // gRPC's number for it.
    OwnedFd duplicate;
    std::shared_ptr<WatchedConnection> watched;
    ListenerCounters* counters = nullptr;
    bool has_ended = false;
  };

  // Outlives its connections for a while: else whoever disconnects owes nothing.
  struct Peer {
    size_t num_connections = 0;
    std::shared_ptr<PeerAccount> account;
  };

  bool IsClosed(const Connection& connection) const;
  void Forget(const Connection& connection);
  Peer& PeerCalled(const std::string& name, Clock::time_point now);

  const std::shared_ptr<GuardContext> context_;
  absl::flat_hash_map<ConnectionId, Connection> connections_;
  absl::flat_hash_map<std::string, Peer> peers_;
  ConnectionId last_id_ = 0;
};

}  // namespace tensord
