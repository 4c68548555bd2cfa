#include "server/connection_guard.h"

#include <utility>

#include "server/socket_facts.h"
#include "server/wire_hooks.h"

namespace tensord {

ConnectionGuard::~ConnectionGuard() {
  for (const auto& [id, connection] : connections_) {
    UnwatchSocket(connection.fd, connection.watched->facts().cookie);
  }
}

AcceptResult ConnectionGuard::Admits(const std::string& peer) const {
  if (connections_.size() >= context_->limits.max_connections) return AcceptResult::kLimit;
  const auto found = connections_per_peer_.find(peer);
  const size_t of_peer = found == connections_per_peer_.end() ? 0 : found->second;
  return of_peer >= context_->limits.max_connections_per_peer ? AcceptResult::kPeerLimit
                                                              : AcceptResult::kAccepted;
}

ConnectionGuard::ConnectionId ConnectionGuard::Watch(int fd, OwnedFd duplicate, std::string peer,
                                                     bool is_unix, bool is_encrypted,
                                                     ListenerCounters& counters) {
  ++connections_per_peer_[peer];
  WatchedConnection::Facts facts{std::move(peer), is_unix, is_encrypted, SocketCookie(fd)};
  auto watched = std::make_shared<WatchedConnection>(context_, std::move(facts), Clock::now());
  WatchSocket(fd, watched);
  const ConnectionId id = ++last_id_;
  connections_.emplace(id, Connection{fd, std::move(duplicate), std::move(watched), &counters});
  counters.Opened();
  return id;
}

void ConnectionGuard::Forget(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const Connection& connection = found->second;
  const WatchedConnection::Facts& facts = connection.watched->facts();
  const auto of_peer = connections_per_peer_.find(facts.peer);
  if (--of_peer->second == 0) connections_per_peer_.erase(of_peer);
  UnwatchSocket(connection.fd, facts.cookie);
  connection.counters->Ended();
  connections_.erase(found);
}

size_t ConnectionGuard::CloseExpired(Clock::time_point now) {
  size_t num_silent = 0;
  for (const auto& [id, connection] : connections_) {
    if (connection.watched->HasExpired(now)) shutdown(connection.duplicate.get(), SHUT_RDWR);
    if (!connection.watched->has_begun()) ++num_silent;
  }
  return num_silent;
}

}  // namespace tensord
