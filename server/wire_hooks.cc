#include "server/wire_hooks.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "server/socket_facts.h"
#include "src/mutex.h"

namespace tensord {
namespace {

using Watched = std::shared_ptr<WatchedConnection>;
using Clock = WatchedConnection::Clock;

// The sockets of this process that are watched, by descriptor.
class SocketTable {
 public:
  void Insert(int fd, Watched connection) {
    const MutexLock lock(mutex_);
    sockets_[fd] = std::move(connection);
    size_ = sockets_.size();
  }

  void Erase(int fd, uint64_t cookie) {
    const MutexLock lock(mutex_);
    const auto found = sockets_.find(fd);
    if (found == sockets_.end() || found->second->facts().cookie != cookie) return;
    sockets_.erase(found);
    size_ = sockets_.size();
  }

  // Null for anything but a socket that is watched.
  Watched Find(int fd) const {
    if (size_ == 0) return nullptr;
    Watched connection;
    {
      const MutexLock lock(mutex_);
      const auto found = sockets_.find(fd);
      if (found == sockets_.end()) return nullptr;
      connection = found->second;
    }
    return SocketCookie(fd) == connection->facts().cookie ? connection : nullptr;
  }

 private:
  std::atomic<size_t> size_{0};  // So that processes without watched sockets pay nothing.
  mutable Mutex mutex_;
  absl::flat_hash_map<int, Watched> sockets_ ABSL_GUARDED_BY(mutex_);
};

SocketTable& Sockets() {
  static auto* const table = new SocketTable;  // Never destroyed: threads of gRPC may outlive main.
  return *table;
}

// Of what was received, for comparison: more than a TLS record's header, up to a hello's random.
constexpr size_t kKeptBytes = 64;

// What this thread has received last for a session that is looked for.
struct LastReceived {
  std::weak_ptr<WatchedConnection> connection;
  const uint8_t* begin = nullptr;
  size_t size = 0;
  std::array<uint8_t, kKeptBytes> kept{};  // Its first bytes; those at `begin` may be gone.
};

LastReceived& Last() {
  thread_local LastReceived last;
  return last;
}

void Remember(const Watched& connection, const msghdr& message, size_t num_bytes) {
  if (!connection->facts().is_encrypted || connection->has_session()) return;
  const iovec& first = message.msg_iov[0];
  LastReceived& last = Last();
  last.connection = connection;
  last.begin = static_cast<const uint8_t*>(first.iov_base);
  last.size = std::min(first.iov_len, num_bytes);
  std::memcpy(last.kept.data(), last.begin, std::min(last.size, kKeptBytes));
}

absl::Span<const iovec> PiecesOf(const msghdr& message) {
  return absl::MakeConstSpan(message.msg_iov, message.msg_iovlen);
}

}  // namespace

void WatchSocket(int fd, std::shared_ptr<WatchedConnection> connection) {
  Sockets().Insert(fd, std::move(connection));
}

void UnwatchSocket(int fd, uint64_t cookie) { Sockets().Erase(fd, cookie); }

std::string PeerOfSocket(int fd) {
  const Watched connection = Sockets().Find(fd);
  return connection == nullptr ? "" : connection->facts().peer;
}

std::shared_ptr<WatchedConnection> SourceOf(const void* data) {
  const LastReceived& last = Last();
  const auto* const byte = static_cast<const uint8_t*>(data);
  if (last.begin == nullptr || std::less<>()(byte, last.begin) ||
      !std::less<>()(byte, last.begin + last.size)) {
    return nullptr;
  }
  return last.connection.lock();
}

std::shared_ptr<WatchedConnection> SenderOf(const void* data, size_t size) {
  const LastReceived& last = Last();
  const size_t num_compared = std::min({size, last.size, kKeptBytes});
  if (num_compared == 0 || std::memcmp(last.kept.data(), data, num_compared) != 0) return nullptr;
  return last.connection.lock();
}

void NoteSent(int fd, const msghdr& message, size_t num_bytes) {
  const int error = errno;
  if (const Watched connection = Sockets().Find(fd)) {
    connection->Sent(PiecesOf(message), num_bytes, Clock::now());
  }
  errno = error;
}

}  // namespace tensord

extern "C" ssize_t recvmsg(int fd, msghdr* message, int flags) {
  using tensord::Sockets;
  const ssize_t received = syscall(SYS_recvmsg, fd, message, flags);
  if (received <= 0 || (flags & (MSG_PEEK | MSG_ERRQUEUE)) != 0) return received;
  const tensord::Watched connection = Sockets().Find(fd);
  if (connection == nullptr) return received;
  if (connection->Received(fd, tensord::PiecesOf(*message), static_cast<size_t>(received),
                           tensord::Clock::now())) {
    tensord::Remember(connection, *message, static_cast<size_t>(received));
    return received;
  }
  shutdown(fd, SHUT_RDWR);  // Also tells the accept loop.
  errno = ECONNRESET;
  return -1;
}
