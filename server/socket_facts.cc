#include "server/socket_facts.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>  // Not netinet's, whose tcp_info ends before the byte counts.
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace tensord {
namespace {

// Of a Unix socket.
std::string UserOf(int fd) {
  constexpr auto kNobody = static_cast<uid_t>(-1);  // What the kernel says of other sockets.
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  const bool is_known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 &&
                        credentials.uid != kNobody;
  return is_known ? absl::StrCat("uid:", credentials.uid) : "uid:unknown";
}

}  // namespace

uint64_t SocketCookie(int fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

uint64_t AcknowledgedBytes(int fd, bool is_unix, uint64_t sent_bytes) {
  if (is_unix) {
    int unread = 0;
    if (ioctl(fd, SIOCOUTQ, &unread) != 0) return 0;
    return sent_bytes - std::min<uint64_t>(sent_bytes, std::max(unread, 0));
  }
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_acked;
}

std::string PeerInLog(const std::string& grpc_peer) {
  absl::string_view number = grpc_peer;
  int fd = -1;
  if (!absl::ConsumePrefix(&number, "fd:") || !absl::SimpleAtoi(number, &fd)) return grpc_peer;
  return UserOf(fd);
}

std::string PeerOf(int fd, const sockaddr_storage& address) {
  if (address.ss_family == AF_UNIX) return UserOf(fd);
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text)) == nullptr ? "" : text;
  }
  in6_addr v6 = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    constexpr size_t kPrefix = 12;
    return inet_ntop(AF_INET, &v6.s6_addr[kPrefix], text, sizeof(text)) == nullptr ? "" : text;
  }
  constexpr size_t kNetwork = 8;
  std::fill(v6.s6_addr + kNetwork, v6.s6_addr + sizeof(v6.s6_addr), uint8_t{0});
  if (inet_ntop(AF_INET6, &v6, text, sizeof(text)) == nullptr) return "";
  return absl::StrCat(text, "/64");
}

}  // namespace tensord
