#include "tests/testing/cutting_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace tensord {
namespace {

constexpr size_t kPieceBytes = 64 << 10;

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int NewSocket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) std::abort();
  return fd;
}

bool SendAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

void EndBoth(int a, int b) {
  shutdown(a, SHUT_RDWR);
  shutdown(b, SHUT_RDWR);
}

}  // namespace

CuttingProxy::CuttingProxy(int server_port, std::function<ProxyRule(size_t)> rule)
    : rule_(std::move(rule)), server_port_(server_port), listener_(NewSocket()) {
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), raw, length) != 0 || listen(listener_.get(), SOMAXCONN) != 0 ||
      getsockname(listener_.get(), raw, &length) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

CuttingProxy::~CuttingProxy() {
  stopping_ = true;
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  MutexLock lock(mutex_);
  for (const int fd : open_) close(fd);
}

std::string CuttingProxy::address() const { return "127.0.0.1:" + std::to_string(port_); }

void CuttingProxy::Accept() {
  while (!stopping_) {
    const int client = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const ProxyRule rule = rule_(num_connections_++);
    const int server = NewSocket();
    const sockaddr_in address = Loopback(server_port_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      close(server);
      close(client);
      continue;
    }
    Serve(client, server, rule);
  }
}

// Descriptors are closed at the very end: a number that is used again would mix connections up.
void CuttingProxy::Serve(int client, int server, ProxyRule rule) {
  MutexLock lock(mutex_);
  open_.push_back(client);
  open_.push_back(server);
  threads_.emplace_back([client, server] {
    std::array<char, kPieceBytes> piece;
    ssize_t size = 0;
    while ((size = recv(client, piece.data(), piece.size(), 0)) > 0) {
      if (!SendAll(server, piece.data(), static_cast<size_t>(size))) break;
    }
    shutdown(server, SHUT_WR);
  });
  threads_.emplace_back([this, client, server, rule] {
    std::array<char, kPieceBytes> piece;
    uint64_t left = rule.cut_after;
    while (left > 0) {
      const ssize_t size = recv(server, piece.data(), std::min<uint64_t>(left, piece.size()), 0);
      if (size <= 0) break;
      if (rule.delay.count() > 0) std::this_thread::sleep_for(rule.delay);
      if (!SendAll(client, piece.data(), static_cast<size_t>(size))) break;
      bytes_to_client_ += static_cast<uint64_t>(size);
      left -= static_cast<uint64_t>(size);
    }
    if (rule.falls_silent && left == 0) return;
    if (rule.half_close && left == 0) {
      shutdown(client, SHUT_WR);
    } else {
      EndBoth(client, server);
    }
  });
}

}  // namespace tensord
