#include "server/acceptor.h"

#include <fcntl.h>
#include <grpcpp/server_posix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "server/socket_facts.h"
#include "server/wire_hooks.h"

namespace tensord {
namespace {

// What a reader that has stopped costs the kernel, which doubles it. On a Unix socket the default
// of 208 KiB would cost a fifth of the speed and most of the thread switches.
constexpr int kSendBufferBytes = 1 << 20;

// The same for TCP, whose buffer has to grow with the way: a fixed one would get no more than
// net.core.wmem_max, 208 KiB on many hosts, and carry no more than that in a round trip. What has
// been sent but is not acknowledged comes on top: as much as the reader's own socket has room for.
constexpr int kUnsentBytes = 1 << 20;

// Requests are small; 1 MiB of one takes some ms more for this.
constexpr int kReceiveBufferBytes = 64 << 10;

// How long the loop rests when the system has no descriptors or memory for a connection.
constexpr int kRestMs = 50;

// How often connections that have not spoken yet are looked at, while there are any.
constexpr int kSilentCheckMs = 250;

// How often those are that have ended, until gRPC has closed them. Their places may be wanted.
constexpr int kClosingCheckMs = 10;

// What epoll says of an event: a listener's index, a connection's id above them, or this.
constexpr uint64_t kWakeTag = ~uint64_t{0};
constexpr uint64_t kFirstConnectionTag = uint64_t{1} << 32;

constexpr size_t kMaxEvents = 64;

OwnedFd OpenSpare() { return OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void Tune(int fd, bool is_unix) {
  if (is_unix) {  // The sender's buffer is all there is.
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof(kSendBufferBytes));
    return;
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentBytes, sizeof(kUnsentBytes));
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof(kReceiveBufferBytes));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

absl::Status OutOfDescriptors() {
  return absl::ResourceExhaustedError("no file descriptors are left to accept connections");
}

// Whether the process at the other end of a Unix socket runs as one of the users.
bool IsAllowed(int fd, const std::vector<uid_t>& uids) {
  if (uids.empty()) return true;
  ucred peer = {};
  socklen_t size = sizeof(peer);
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         std::find(uids.begin(), uids.end(), peer.uid) != uids.end();
}

}  // namespace

Acceptor::Acceptor(std::vector<Listener> listeners, std::vector<uid_t> unix_allow_uids,
                   std::shared_ptr<GuardContext> guard,
                   const std::shared_ptr<grpc::ServerCredentials>& tls,
                   grpc::ServerBuilder& builder)
    : listeners_(std::move(listeners)),
      unix_allow_uids_(std::move(unix_allow_uids)),
      context_(std::move(guard)),
      is_encrypted_(tls != nullptr),
      tcp_(builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
          tls != nullptr ? tls : grpc::InsecureServerCredentials())),
      guard_(context_) {
  for (const Listener& listener : listeners_) {
    counters_.push_back(&context_->counters.AddListener(listener.address()));
  }
  if (is_encrypted_) WatchTls(context_);
}

Acceptor::~Acceptor() { Stop(); }

absl::Status Acceptor::Poll(int operation, int fd, uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  return epoll_ctl(poller_.get(), operation, fd, &event) == 0 ? absl::OkStatus()
                                                              : OutOfDescriptors();
}

absl::Status Acceptor::Start(grpc::Server* server) {
  server_ = server;
  poller_ = OwnedFd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = OwnedFd(eventfd(0, EFD_CLOEXEC));
  spare_ = OpenSpare();
  if (poller_.get() < 0 || wake_.get() < 0 || spare_.get() < 0) return OutOfDescriptors();
  absl::Status polled = Poll(EPOLL_CTL_ADD, wake_.get(), EPOLLIN, kWakeTag);
  for (size_t i = 0; i < listeners_.size() && polled.ok(); ++i) {
    polled = Poll(EPOLL_CTL_ADD, listeners_[i].fd(), EPOLLIN, i);
  }
  if (!polled.ok()) return polled;
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Acceptor::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
}

void Acceptor::StopAccepting() {
  if (!thread_.joinable()) return;  // Start has failed.
  Wake();
  has_closed_listeners_.get_future().wait();
}

void Acceptor::Stop() {
  if (thread_.joinable()) {
    is_ending_ = true;
    Wake();
    thread_.join();
  }
  waiting_.clear();
  listeners_.clear();
}

void Acceptor::Run() {
  std::array<epoll_event, kMaxEvents> events;
  int patience_ms = -1;
  for (;;) {
    const int found = epoll_wait(poller_.get(), events.data(), kMaxEvents, patience_ms);
    const size_t count = static_cast<size_t>(std::max(found, 0));  // Only EINTR can be.
    if (!Handle(absl::MakeConstSpan(events.data(), count))) return;
    const auto now = ConnectionGuard::Clock::now();
    HandWaiting(now);
    patience_ms = PatienceMs(guard_.CloseExpired(now), now);
  }
}

int Acceptor::PatienceMs(size_t num_silent, ConnectionGuard::Clock::time_point now) const {
  const int next_check_ms = num_closing_ > 0 ? kClosingCheckMs : kSilentCheckMs;
  auto patience =
      std::chrono::milliseconds(num_closing_ > 0 || num_silent > 0 ? next_check_ms : -1);
  for (const Waiting& each : waiting_) {
    if (!each.has_spoken) continue;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(each.admission.start - now);
    if (patience.count() < 0 || left < patience) patience = left;
  }
  return static_cast<int>(patience.count());
}

void Acceptor::HandWaiting(ConnectionGuard::Clock::time_point now) {
  const auto due = std::stable_partition(
      waiting_.begin(), waiting_.end(),
      [now](const Waiting& each) { return !each.has_spoken || each.admission.start > now; });
  for (auto each = due; each != waiting_.end(); ++each) Hand(each->fd.Release(), *each->listener);
  waiting_.erase(due, waiting_.end());
}

bool Acceptor::Handle(absl::Span<const epoll_event> events) {
  // What there is first: their places may be wanted.
  for (const epoll_event& event : events) {
    const uint64_t tag = event.data.u64;
    if (tag == kWakeTag) {
      if (is_ending_) return false;
      CloseListeners();
      continue;
    }
    if (tag < kFirstConnectionTag) continue;
    const ConnectionGuard::ConnectionId id = tag - kFirstConnectionTag;
    if ((event.events & (EPOLLHUP | EPOLLERR)) != 0) {
      Ended(id);
    } else {
      Speaks(id);
    }
  }
  num_closing_ = guard_.ForgetClosed();
  for (const epoll_event& event : events) {
    const uint64_t tag = event.data.u64;
    if (tag < listeners_.size()) Accept(listeners_[tag], *counters_[tag]);
  }
  return true;
}

void Acceptor::CloseListeners() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t size = read(wake_.get(), &count, sizeof(count));
  for (const Waiting& each : waiting_) guard_.Ended(each.admission.id);
  waiting_.clear();
  listeners_.clear();
  has_closed_listeners_.set_value();
}

void Acceptor::Ended(ConnectionGuard::ConnectionId id) {
  guard_.Ended(id);
  waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(),
                                [id](const Waiting& each) { return each.admission.id == id; }),
                 waiting_.end());
}

void Acceptor::Speaks(ConnectionGuard::ConnectionId id) {
  for (Waiting& each : waiting_) {
    if (each.admission.id != id) continue;
    each.has_spoken = true;
    // From now on only its end is of interest, which needs no asking.
    Poll(EPOLL_CTL_MOD, each.polled, EPOLLET, kFirstConnectionTag + id).IgnoreError();
  }
}

void Acceptor::Accept(const Listener& listener, ListenerCounters& counters) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  OwnedFd connection(accept4(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (connection.get() >= 0) {
    const std::string peer = PeerOf(connection.get(), address);
    Offered(Admit(std::move(connection), peer, listener, counters), peer, counters);
  } else if (IsShortage(errno)) {
    Offered(AcceptResult::kFdExhausted, "", counters);
    RefuseOne(listener);
  }
  // Any other error concerns one connection that is gone already.
}

void Acceptor::Offered(AcceptResult result, const std::string& peer, ListenerCounters& counters) {
  counters.Offered(result);
  if (result != AcceptResult::kAccepted && context_->refusals) context_->refusals(result, peer);
}

AcceptResult Acceptor::Admit(OwnedFd connection, const std::string& peer, const Listener& listener,
                             ListenerCounters& counters) {
  const int fd = connection.get();
  if (listener.is_unix() && !IsAllowed(fd, unix_allow_uids_)) return AcceptResult::kUid;
  const AcceptResult result = guard_.Admits(peer);
  if (result != AcceptResult::kAccepted) return result;
  OwnedFd duplicate(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (duplicate.get() < 0) return AcceptResult::kFdExhausted;
  Tune(fd, listener.is_unix());
  const int polled = duplicate.get();
  const auto now = ConnectionGuard::Clock::now();
  const ConnectionGuard::Admission admission =
      guard_.Watch(fd, std::move(duplicate), peer, listener.is_unix(),
                   is_encrypted_ && !listener.is_unix(), counters, now);
  // HTTP/2's client speaks first, and TLS's too. EPOLLHUP needs no asking: both ends have closed,
  // or either has shut down.
  const uint64_t tag = kFirstConnectionTag + admission.id;
  if (!Poll(EPOLL_CTL_ADD, polled, EPOLLIN | EPOLLET, tag).ok()) {
    guard_.Ended(admission.id);
    num_closing_ = 1;  // Closed on return.
    return AcceptResult::kFdExhausted;
  }
  waiting_.push_back({admission, std::move(connection), &listener, polled});
  return AcceptResult::kAccepted;
}

void Acceptor::Hand(int connection, const Listener& listener) {
  if (listener.is_unix()) {
    // Unlike the acceptor this gives each connection a peer name of its own, "fd:N".
    grpc::AddInsecureChannelFromFd(server_, connection);
    return;
  }
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.listener_fd = -1;
  parameters.fd = connection;
  tcp_->HandleNewConnection(&parameters);
}

void Acceptor::RefuseOne(const Listener& listener) {
  // Left in the queue, the connection would wake the loop again at once and for ever.
  spare_ = OwnedFd();
  { const OwnedFd refused(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC)); }
  spare_ = OpenSpare();
  pollfd stop{wake_.get(), POLLIN, 0};
  poll(&stop, 1, kRestMs);
}

}  // namespace tensord
