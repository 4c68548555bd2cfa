#include "server/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// As many connections as may wait for the accept loop; the kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 1024;

constexpr int kSocketFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

absl::Status SystemError(absl::string_view what, absl::string_view address) {
  const int error = errno;
  const std::string message =
      absl::StrCat("cannot ", what, " ", Quote(address), ": ", std::strerror(error));
  if (error == EADDRINUSE) return absl::AlreadyExistsError(message);
  return absl::FailedPreconditionError(message);
}

absl::Status BadAddress(absl::string_view address, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("address ", Quote(address), " ", why, "; wanted HOST:PORT or unix:PATH"));
}

struct HostPort {
  std::string host;
  std::string port;
};

// "[::]" means all addresses of the machine, also where its kernel was started without IPv6.
bool IsAnyWithoutIpv6(absl::string_view host) {
  if (host != "::") return false;
  const OwnedFd fd(socket(AF_INET6, kSocketFlags, 0));
  return fd.get() < 0 && errno == EAFNOSUPPORT;
}

absl::StatusOr<HostPort> SplitAddress(absl::string_view address) {
  absl::string_view rest = address;
  if (absl::StartsWith(rest, "unix-abstract:")) {
    return BadAddress(address, "has no file whose mode could say who may connect");
  }
  for (const absl::string_view scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"}) {
    if (absl::ConsumePrefix(&rest, scheme)) break;
  }
  if (absl::StrContains(rest, "://")) return BadAddress(address, "begins with a scheme");
  const size_t colon = rest.rfind(':');
  if (colon == absl::string_view::npos) return BadAddress(address, "has no port");
  absl::string_view host = rest.substr(0, colon);
  const absl::string_view port = rest.substr(colon + 1);
  uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number > 65535) {
    return BadAddress(address, "has no port between 0 and 65535");
  }
  const bool bracketed = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  if (host.empty()) return BadAddress(address, "has no host");
  if (!bracketed && absl::StrContains(host, ':')) {
    return BadAddress(address, "has an IPv6 host without brackets");
  }
  return HostPort{IsAnyWithoutIpv6(host) ? "0.0.0.0" : std::string(host), absl::StrCat(number)};
}

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::StatusOr<AddressList> Resolve(const HostPort& where, absl::string_view address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(where.host.c_str(), where.port.c_str(), &hints, &found);
  if (error != 0) return BadAddress(address, absl::StrCat("is unknown: ", gai_strerror(error)));
  return AddressList(found, &freeaddrinfo);
}

void SetPort(sockaddr* address, uint16_t port) {
  if (address->sa_family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  } else if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
  }
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24 == 127;
  }
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

// Binds and listens. Without SO_REUSEPORT: a second server on the port must fail.
absl::StatusOr<OwnedFd> ListenTcp(const addrinfo& to, absl::string_view address) {
  OwnedFd fd(socket(to.ai_family, kSocketFlags, 0));
  if (fd.get() < 0) return SystemError("make a socket for", address);
  const int on = 1;
  const int off = 0;
  // Else a restarted server would wait for its old connections to time out.
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (to.ai_family == AF_INET6) {
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));  // [::] means IPv4 too.
  }
  if (bind(fd.get(), to.ai_addr, to.ai_addrlen) != 0) return SystemError("bind", address);
  if (listen(fd.get(), kBacklog) != 0) return SystemError("listen at", address);
  return fd;
}

struct Bound {
  int port = 0;
  std::string text;  // "127.0.0.1:50051".
};

absl::StatusOr<Bound> BoundTo(int fd, absl::string_view address) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  auto* const name = reinterpret_cast<sockaddr*>(&storage);
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getsockname(fd, name, &size) != 0 ||
      getnameinfo(name, size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return SystemError("read the name of", address);
  }
  const bool is_ipv6 = name->sa_family == AF_INET6;
  return Bound{std::atoi(port), absl::StrCat(is_ipv6 ? "[" : "", host, is_ipv6 ? "]:" : ":", port)};
}

sockaddr_un UnixName(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  return name;
}

absl::Status NoSocket(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat(Quote(path), " exists and is no socket"));
}

// Removes a socket that nobody listens at. ALREADY_EXISTS when somebody does; FAILED_PRECONDITION
// when it is no socket.
absl::Status RemoveStale(const std::string& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) return absl::OkStatus();
  if (!S_ISSOCK(found.st_mode)) {
    return NoSocket(path);
  }
  const OwnedFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_un name = UnixName(path);
  const int connected =
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name));
  if (connected == 0 || errno != ECONNREFUSED) {
    return absl::AlreadyExistsError(
        absl::StrCat("the socket ", Quote(path), " is in use by another process"));
  }
  if (unlink(path.c_str()) != 0) return SystemError("replace the stale socket", path);
  return absl::OkStatus();
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Held while a path is probed and bound, so that of two servers that start at once only one
// replaces a stale socket. Leaves nothing behind, because it locks the directory itself.
OwnedFd LockDirectoryOf(const std::string& path) {
  OwnedFd fd(open(DirectoryOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) flock(fd.get(), LOCK_EX);
  return fd;
}

std::optional<std::string> UnixPath(absl::string_view address) {
  if (!absl::ConsumePrefix(&address, "unix:")) return std::nullopt;
  if (absl::StartsWith(address, "///")) address.remove_prefix(2);
  return std::string(address);
}

absl::Status CheckUnixPath(const std::string& path) {
  constexpr size_t kMaxPathBytes = sizeof(sockaddr_un::sun_path) - 1;
  if (!path.empty() && path.size() <= kMaxPathBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the path of a Unix socket has 1 to ",
                                                 kMaxPathBytes, " bytes, got ", path.size(), ": ",
                                                 Quote(path)));
}

}  // namespace

absl::StatusOr<std::vector<Listener>> Listener::Open(absl::string_view address, mode_t unix_mode) {
  const std::optional<std::string> path = UnixPath(address);
  if (!path) return OpenTcp(address);
  TENSORD_ASSIGN_OR_RETURN(Listener listener, OpenUnix(*path, unix_mode));
  std::vector<Listener> listeners;
  listeners.push_back(std::move(listener));
  return listeners;
}

std::optional<std::string> Listener::UnixDirectory(absl::string_view address) {
  const std::optional<std::string> path = UnixPath(address);
  return path ? std::make_optional(DirectoryOf(*path)) : std::nullopt;
}

absl::Status Listener::CheckForm(absl::string_view address) {
  const std::optional<std::string> path = UnixPath(address);
  return path ? CheckUnixPath(*path) : SplitAddress(address).status();
}

absl::Status Listener::Check(absl::string_view address) {
  const std::optional<std::string> path = UnixPath(address);
  if (!path) return IsRemote(address).status();  // Resolves it.
  TENSORD_RETURN_IF_ERROR(CheckUnixPath(*path));
  if (access(DirectoryOf(*path).c_str(), W_OK | X_OK) != 0) {
    return SystemError("make a socket in the directory of", *path);
  }
  struct stat found;
  const bool is_taken = lstat(path->c_str(), &found) == 0 && !S_ISSOCK(found.st_mode);
  return is_taken ? NoSocket(*path) : absl::OkStatus();
}

absl::StatusOr<bool> Listener::IsRemote(absl::string_view address) {
  if (UnixPath(address)) return false;
  TENSORD_ASSIGN_OR_RETURN(const HostPort where, SplitAddress(address));
  TENSORD_ASSIGN_OR_RETURN(const AddressList found, Resolve(where, address));
  for (const addrinfo* to = found.get(); to != nullptr; to = to->ai_next) {
    if (to->ai_family != AF_INET && to->ai_family != AF_INET6) continue;
    if (!IsLoopback(to->ai_addr)) return true;
  }
  return false;
}

absl::StatusOr<Listener> Listener::OpenUnix(const std::string& path, mode_t mode) {
  TENSORD_RETURN_IF_ERROR(CheckUnixPath(path));
  const OwnedFd lock = LockDirectoryOf(path);
  TENSORD_RETURN_IF_ERROR(RemoveStale(path));
  Listener listener;
  listener.fd_ = OwnedFd(socket(AF_UNIX, kSocketFlags, 0));
  if (listener.fd() < 0) return SystemError("make a socket for", path);
  const sockaddr_un name = UnixName(path);
  if (bind(listener.fd(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0) {
    return SystemError("bind", path);
  }
  struct stat bound;
  if (lstat(path.c_str(), &bound) != 0) return SystemError("look at", path);
  listener.path_ = path;
  listener.device_ = bound.st_dev;
  listener.inode_ = bound.st_ino;
  listener.address_ = absl::StrCat("unix:", path);
  // Nobody can connect before listen, so nobody slips in under the mode of the umask.
  if (chmod(path.c_str(), mode) != 0) return SystemError("set the mode of", path);
  if (listen(listener.fd(), kBacklog) != 0) return SystemError("listen at", path);
  return listener;
}

absl::StatusOr<std::vector<Listener>> Listener::OpenTcp(absl::string_view address) {
  TENSORD_ASSIGN_OR_RETURN(const HostPort where, SplitAddress(address));
  TENSORD_ASSIGN_OR_RETURN(const AddressList found, Resolve(where, address));
  std::vector<Listener> listeners;
  for (addrinfo* to = found.get(); to != nullptr; to = to->ai_next) {
    if (to->ai_family != AF_INET && to->ai_family != AF_INET6) continue;
    if (where.port == "0" && !listeners.empty()) {
      SetPort(to->ai_addr, static_cast<uint16_t>(listeners.front().port()));
    }
    absl::StatusOr<OwnedFd> fd = ListenTcp(*to, address);
    // A name may stand for an address of a family that this machine does not have.
    if (!fd.ok() && !absl::IsAlreadyExists(fd.status()) &&
        (to->ai_next != nullptr || !listeners.empty())) {
      continue;
    }
    if (!fd.ok()) return fd.status();
    Listener listener;
    listener.fd_ = *std::move(fd);
    TENSORD_ASSIGN_OR_RETURN(Bound bound, BoundTo(listener.fd(), address));
    listener.port_ = bound.port;
    listener.address_ = std::move(bound.text);
    listener.is_remote_ = !IsLoopback(to->ai_addr);
    listeners.push_back(std::move(listener));
  }
  if (listeners.empty()) return BadAddress(address, "has no IPv4 or IPv6 address");
  return listeners;
}

Listener::Listener(Listener&& other) noexcept
    : fd_(std::move(other.fd_)),
      address_(std::move(other.address_)),
      path_(std::exchange(other.path_, "")),
      device_(other.device_),
      inode_(other.inode_),
      port_(other.port_),
      is_remote_(other.is_remote_) {}

Listener::~Listener() {
  if (path_.empty()) return;
  // Another server may have put its own socket here since.
  struct stat now;
  if (lstat(path_.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

}  // namespace tensord
