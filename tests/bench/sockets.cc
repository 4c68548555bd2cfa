#include "tests/bench/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "tests/bench/bench_main.h"

namespace tensord::bench {
namespace {

// The largest single send: the size of a chunk of ours.
constexpr size_t kSendBytes = 1 << 20;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

Address Parse(const std::string& text) {
  Address address;
  if (text.rfind("unix:", 0) == 0) {
    sockaddr_un local{};
    local.sun_family = AF_UNIX;
    const std::string path = text.substr(5);
    if (path.size() >= sizeof(local.sun_path)) Die("socket path too long: " + path);
    path.copy(local.sun_path, path.size());
    std::memcpy(&address.storage, &local, sizeof(local));
    address.size = sizeof(local);
    return address;
  }
  const size_t colon = text.rfind(':');
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  if (colon == std::string::npos ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &inet.sin_addr) != 1) {
    Die("address is neither unix:PATH nor A.B.C.D:PORT: " + text);
  }
  inet.sin_port = htons(static_cast<uint16_t>(std::stoi(text.substr(colon + 1))));
  std::memcpy(&address.storage, &inet, sizeof(inet));
  address.size = sizeof(inet);
  return address;
}

void Check(bool ok, const std::string& what) {
  if (!ok) Die(what + ": " + std::strerror(errno));
}

// The address with the port that the system chose.
std::string BoundAddress(int listener, const std::string& asked) {
  sockaddr_in inet{};
  socklen_t size = sizeof(inet);
  if (asked.rfind("unix:", 0) == 0) return asked;
  Check(getsockname(listener, reinterpret_cast<sockaddr*>(&inet), &size) == 0, "getsockname");
  return asked.substr(0, asked.rfind(':') + 1) + std::to_string(ntohs(inet.sin_port));
}

void Tune(int fd, int family, const SocketTuning& tuning) {
  if (tuning.send_buffer_bytes > 0) {
    Check(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &tuning.send_buffer_bytes, sizeof(int)) == 0,
          "SO_SNDBUF");
  }
  if (family != AF_INET) return;
  const int on = 1;
  Check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0, "TCP_NODELAY");
  if (!tuning.congestion.empty()) {
    Check(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, tuning.congestion.data(),
                     static_cast<socklen_t>(tuning.congestion.size())) == 0,
          "TCP_CONGESTION " + tuning.congestion);
  }
}

}  // namespace

void AcceptLoop(const std::string& address, const SocketTuning& tuning,
                const std::function<void(int fd)>& serve) {
  std::signal(SIGPIPE, SIG_IGN);
  const Address parsed = Parse(address);
  const int listener = socket(parsed.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  Check(listener >= 0, "socket");
  Check(bind(listener, parsed.get(), parsed.size) == 0, "bind " + address);
  Check(listen(listener, 1024) == 0, "listen");
  std::cerr << "listening address=" << BoundAddress(listener, address) << std::endl;
  while (true) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    Check(fd >= 0, "accept");
    Tune(fd, parsed.family(), tuning);
    serve(fd);
  }
}

int ConnectTo(const std::string& address) {
  const Address parsed = Parse(address);
  const int fd = socket(parsed.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  Check(fd >= 0, "socket");
  Check(connect(fd, parsed.get(), parsed.size) == 0, "connect " + address);
  Tune(fd, parsed.family(), {});
  return fd;
}

bool SendAll(int fd, const void* data, size_t size_bytes) {
  const auto* bytes = static_cast<const char*>(data);
  while (size_bytes > 0) {
    const ssize_t sent = send(fd, bytes, std::min(size_bytes, kSendBytes), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size_bytes -= static_cast<size_t>(sent);
  }
  return true;
}

bool ReceiveAll(int fd, void* data, size_t size_bytes) {
  auto* bytes = static_cast<char*>(data);
  while (size_bytes > 0) {
    const ssize_t received = recv(fd, bytes, size_bytes, 0);
    if (received <= 0) return false;
    bytes += received;
    size_bytes -= static_cast<size_t>(received);
  }
  return true;
}

}  // namespace tensord::bench
