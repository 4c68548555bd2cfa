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

  // Begins to watch the connection `fd`, which must be handed to gRPC after this. `duplicate` is
  // another descriptor of the same socket; `counters` are of its listener and outlive the guard.
  // Returns its id, never used twice.
  ConnectionId Watch(int fd, OwnedFd duplicate, std::string peer, bool is_unix, bool is_encrypted,
                     ListenerCounters& counters);

  // It has ended. Does nothing for an id that is unknown.
  void Forget(ConnectionId id);

  // Closes those that have not begun to speak in time. Returns how many still have to.
  size_t CloseExpired(Clock::time_point now);

  size_t size() const { return connections_.size(); }

 private:
  struct Connection {
    int fd = -1;  // gRPC's number for it.
    OwnedFd duplicate;
    std::shared_ptr<WatchedConnection> watched;
    ListenerCounters* counters = nullptr;
  };

  const std::shared_ptr<GuardContext> context_;
  absl::flat_hash_map<ConnectionId, Connection> connections_;
  absl::flat_hash_map<std::string, size_t> connections_per_peer_;
  ConnectionId last_id_ = 0;
};

}  // namespace tensord
