// A socket that listens where `--listen` says.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/owned_fd.h"

namespace tensord {

// Bound and listening from Open until it is destroyed; a Unix socket's path is then removed if it
// is still ours. Moves only.
class Listener {
 public:
  // Listens at `address`, spelled as gRPC spells it: "unix:PATH" and "unix:///PATH", "HOST:PORT",
  // "[::1]:PORT", and these behind "ipv4:", "ipv6:" or "dns:///". A host name may stand for several
  // addresses, each with a listener of its own; port 0 is one free port for all of them. A Unix
  // socket gets `unix_mode`; a stale one in its place, which nobody listens at, is replaced.
  // Errors: INVALID_ARGUMENT for an address that cannot be read or resolved, or a Unix path longer
  // than 107 bytes; ALREADY_EXISTS when it is in use; FAILED_PRECONDITION when something other than
  // a socket is there, and for anything else that the system refuses.
  static absl::StatusOr<std::vector<Listener>> Open(absl::string_view address, mode_t unix_mode);

  // Whether Open could read `address`: asks neither the system nor a name service. INVALID_ARGUMENT
  // as Open.
  static absl::Status CheckForm(absl::string_view address);

  // Whether Open would listen there, unless the address is in use. Opens nothing, resolves names.
  // Errors: as Open.
  static absl::Status Check(absl::string_view address);

  // The directory in which Open would make a Unix socket; absent for a TCP address.
  static std::optional<std::string> UnixDirectory(absl::string_view address);

  // Whether Open would listen where other machines can connect. INVALID_ARGUMENT as Open.
  static absl::StatusOr<bool> IsRemote(absl::string_view address);

  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  int fd() const { return fd_.get(); }
  bool is_unix() const { return !path_.empty(); }
  int port() const { return port_; }  // 0 for a Unix socket.

  // As a client would dial it, e.g. "127.0.0.1:50051" or "unix:/run/tensord/tensord.sock".
  const std::string& address() const { return address_; }

  // True for a TCP address that other machines can reach.
  bool is_remote() const { return is_remote_; }

 private:
  Listener() = default;

  static absl::StatusOr<Listener> OpenUnix(const std::string& path, mode_t mode);
  static absl::StatusOr<std::vector<Listener>> OpenTcp(absl::string_view address);

  OwnedFd fd_;
  std::string address_;
  std::string path_;  // Of a Unix socket.
  dev_t device_ = 0;  // Of that path when it was bound.
  ino_t inode_ = 0;
  int port_ = 0;
  bool is_remote_ = false;
};

}  // namespace tensord
