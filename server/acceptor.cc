#include "server/acceptor.h"

#include <fcntl.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_posix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <utility>

namespace tensord {
namespace {

// A Unix socket's default of 208 KiB costs a fifth of the speed and most of the thread switches.
// TCP sizes its buffers itself.
constexpr int kUnixSendBufferBytes = 1 << 20;

// How long the loop rests when the system has no descriptors or memory for a connection.
constexpr int kRestMs = 50;

OwnedFd OpenSpare() { return OwnedFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

void Tune(int fd, bool is_unix) {
  if (is_unix) {
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kUnixSendBufferBytes, sizeof(kUnixSendBufferBytes));
  } else {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
}

}  // namespace

Acceptor::Acceptor(std::vector<Listener> listeners, grpc::ServerBuilder& builder)
    : listeners_(std::move(listeners)),
      tcp_(builder.experimental().AddExternalConnectionAcceptor(
          grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
          grpc::InsecureServerCredentials())) {}

Acceptor::~Acceptor() { Stop(); }

absl::Status Acceptor::Start(grpc::Server* server) {
  server_ = server;
  wake_ = OwnedFd(eventfd(0, EFD_CLOEXEC));
  spare_ = OpenSpare();
  if (wake_.get() < 0 || spare_.get() < 0) {
    return absl::ResourceExhaustedError("no file descriptors are left to accept connections");
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void Acceptor::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
    thread_.join();
  }
  listeners_.clear();
}

void Acceptor::Run() {
  std::vector<pollfd> polled;
  for (const Listener& listener : listeners_) polled.push_back({listener.fd(), POLLIN, 0});
  polled.push_back({wake_.get(), POLLIN, 0});
  for (;;) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;  // Only EINTR can be.
    if (polled.back().revents != 0) return;
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (polled[i].revents != 0) Accept(listeners_[i]);
    }
  }
}

void Acceptor::Accept(const Listener& listener) {
  OwnedFd connection(accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (connection.get() >= 0) {
    Tune(connection.get(), listener.is_unix());
    Hand(std::move(connection), listener);
  } else if (IsShortage(errno)) {
    RefuseOne(listener);
  }
  // Any other error concerns one connection that is gone already.
}

void Acceptor::Hand(OwnedFd connection, const Listener& listener) {
  if (listener.is_unix()) {
    // Unlike the acceptor this gives each connection a peer name of its own, "fd:N".
    grpc::AddInsecureChannelFromFd(server_, connection.Release());
    return;
  }
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.listener_fd = -1;
  parameters.fd = connection.Release();
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
