#include "server/connection_guard.h"

#include <utility>

#include "server/socket_facts.h"
#include "server/wire_hooks.h"

namespace tensord {
namespace {

// 200 bytes each. Those without connections are forgotten together when there are more.
constexpr size_t kMaxPeers = 4096;

}  // namespace

ConnectionGuard::~ConnectionGuard() {
  for (const auto& [id, connection] : connections_) {
    UnwatchSocket(connection.fd, connection.watched->facts().cookie);
  }
}

AcceptResult ConnectionGuard::Admits(const std::string& peer) const {
  if (connections_.size() >= context_->limits.max_connections) return AcceptResult::kLimit;
  const auto found = peers_.find(peer);
  const size_t of_peer = found == peers_.end() ? 0 : found->second.num_connections;
  return of_peer >= context_->limits.max_connections_per_peer ? AcceptResult::kPeerLimit
                                                              : AcceptResult::kAccepted;
}

ConnectionGuard::Peer& ConnectionGuard::PeerCalled(const std::string& name, Clock::time_point now) {
  if (peers_.size() >= kMaxPeers) {
    absl::erase_if(peers_, [](const auto& entry) { return entry.second.num_connections == 0; });
  }
  Peer& peer = peers_[name];
  if (peer.account == nullptr) {
    peer.account = std::make_shared<PeerAccount>(context_->limits, now);
  }
  return peer;
}

ConnectionGuard::Admission ConnectionGuard::Watch(int fd, OwnedFd duplicate, std::string name,
                                                  bool is_unix, bool is_encrypted,
                                                  ListenerCounters& counters,
                                                  Clock::time_point now) {
  Peer& peer = PeerCalled(name, now);
  ++peer.num_connections;
  WatchedConnection::Facts facts{std::move(name), is_unix, is_encrypted, SocketCookie(fd),
                                 peer.account};
  auto watched = std::make_shared<WatchedConnection>(context_, std::move(facts), now);
  WatchSocket(fd, watched);
  const ConnectionId id = ++last_id_;
  connections_.emplace(id, Connection{fd, std::move(duplicate), std::move(watched), &counters});
  counters.Opened();
  return {id, peer.account->NextStart(now)};
}

void ConnectionGuard::Ended(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found != connections_.end()) found->second.has_ended = true;
}

size_t ConnectionGuard::ForgetClosed() {
  size_t num_open = 0;
  absl::erase_if(connections_, [&](const auto& entry) {
    const Connection& connection = entry.second;
    if (!connection.has_ended) return false;
    if (!IsClosed(connection)) return ++num_open, false;
    Forget(connection);
    return true;
  });
  return num_open;
}

// Its number then belongs to nothing, or to something else.
bool ConnectionGuard::IsClosed(const Connection& connection) const {
  return SocketCookie(connection.fd) != connection.watched->facts().cookie;
}

void ConnectionGuard::Forget(const Connection& connection) {
  const WatchedConnection::Facts& facts = connection.watched->facts();
  --peers_.find(facts.peer)->second.num_connections;
  connection.watched->Gone();
  UnwatchSocket(connection.fd, facts.cookie);
  connection.counters->Ended();
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
