#include "server/http_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"

namespace tensord {
namespace {

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(std::vector<Listener> listeners,
                                                              HttpHandler handler) {
  OwnedFd wake(eventfd(0, EFD_CLOEXEC));
  if (wake.get() < 0) return absl::ResourceExhaustedError("no file descriptors are left for HTTP");
  return std::unique_ptr<HttpServer>(
      new HttpServer(std::move(listeners), std::move(handler), std::move(wake)));
}

HttpServer::HttpServer(std::vector<Listener> listeners, HttpHandler handler, OwnedFd wake)
    : listeners_(std::move(listeners)), handler_(std::move(handler)), wake_(std::move(wake)) {
  thread_ = std::thread([this] { Run(); });
}

HttpServer::~HttpServer() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
  thread_.join();
}

void HttpServer::Run() {
  std::vector<pollfd> polled;
  for (;;) {
    polled.assign(1, {wake_.get(), POLLIN, 0});
    for (const Listener& listener : listeners_) polled.push_back({listener.fd(), POLLIN, 0});
    for (const Connection& connection : connections_) {
      const bool is_reading = connection.response.empty();
      polled.push_back(
          {connection.fd.get(), static_cast<int16_t>(is_reading ? POLLIN : POLLOUT), 0});
    }
    if (poll(polled.data(), polled.size(), PollTimeout()) < 0) continue;  // EINTR.
    if (polled[0].revents != 0) return;
    size_t next = 1 + listeners_.size();
    for (Connection& connection : connections_) {
      if (polled[next++].revents != 0) Proceed(connection);
    }
    CutOverdue();
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (polled[1 + i].revents != 0) Accept(listeners_[i]);
    }
  }
}

int HttpServer::PollTimeout() const {
  if (connections_.empty()) return -1;
  // The oldest is in front, and all have the same time.
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(connections_.front().deadline - Clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

void HttpServer::Accept(const Listener& listener) {
  OwnedFd fd(accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd.get() < 0) {
    // Out of descriptors the client stays in the queue, and would wake the loop at once.
    constexpr int kRestMs = 50;
    pollfd stop{wake_.get(), POLLIN, 0};
    if (!WouldBlock()) poll(&stop, 1, kRestMs);
    return;
  }
  if (connections_.size() >= kMaxConnections) MakeRoom();
  connections_.push_back({std::move(fd), Clock::now() + kMaxDuration, "", "", 0, false});
}

void HttpServer::MakeRoom() {
  // Who is there sends a request at once: the one that has been silent for longest has the least
  // claim to a place, and a crowd of silent ones keeps no probe waiting.
  auto victim = std::find_if(connections_.begin(), connections_.end(),
                             [](const Connection& each) { return each.response.empty(); });
  if (victim == connections_.end()) victim = connections_.begin();
  connections_.erase(victim);
}

void HttpServer::Proceed(Connection& connection) {
  if (connection.response.empty()) Read(connection);
  if (!connection.response.empty() && !connection.is_done) Write(connection);
}

void HttpServer::Read(Connection& connection) {
  char buffer[kMaxHttpRequestBytes];
  const ssize_t size = recv(connection.fd.get(), buffer, sizeof(buffer), 0);
  if (size <= 0) {
    connection.is_done = size == 0 || !WouldBlock();
    return;
  }
  connection.request.append(buffer, static_cast<size_t>(size));
  connection.response = AnswerHttp(connection.request, handler_);
}

void HttpServer::Write(Connection& connection) {
  const std::string& response = connection.response;
  const ssize_t size = send(connection.fd.get(), response.data() + connection.sent_bytes,
                            response.size() - connection.sent_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (size < 0) {
    connection.is_done = !WouldBlock();
    return;
  }
  connection.sent_bytes += static_cast<size_t>(size);
  connection.is_done = connection.sent_bytes == response.size();
}

void HttpServer::CutOverdue() {
  const Clock::time_point now = Clock::now();
  connections_.remove_if([now](const Connection& connection) {
    return connection.is_done || connection.deadline <= now;
  });
}

}  // namespace tensord
