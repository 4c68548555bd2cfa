#include "server/send_guard.h"

#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

#include "absl/types/span.h"
#include "server/wire_hooks.h"
#include "src/fault_guard.h"

namespace tensord {
namespace {

// One repair makes all of a message's pages present. More are needed only where a file goes on
// shrinking; and what is no loss of pages must not be tried for ever.
constexpr int kMaxRepairs = 16;

using SendMessage = ssize_t (*)(int, const msghdr*, int);

std::atomic<SendMessage> next_sendmsg = nullptr;

ssize_t SendNext(int fd, const msghdr* message, int flags) {
  const SendMessage next = next_sendmsg;
  if (next != nullptr) return next(fd, message, flags);
  return syscall(SYS_sendmsg, fd, message, flags);
}

// True when a page of the message was lost and is there now.
bool Repair(const msghdr& message) {
  bool repaired = false;
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    const iovec& piece = message.msg_iov[i];
    repaired |= RepairGuarded({static_cast<const std::byte*>(piece.iov_base), piece.iov_len});
  }
  return repaired;
}

}  // namespace

void InstallSendGuard() {
  InstallFaultGuard();
  // Whoever else has put himself before the C library stays in the chain.
  next_sendmsg = reinterpret_cast<SendMessage>(dlsym(RTLD_NEXT, "sendmsg"));
}

}  // namespace tensord

extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  ssize_t sent = tensord::SendNext(fd, message, flags);
  for (int i = 0; sent < 0 && errno == EFAULT && i < tensord::kMaxRepairs; ++i) {
    if (!tensord::Repair(*message)) {
      errno = EFAULT;
      return sent;
    }
    sent = tensord::SendNext(fd, message, flags);
  }
  if (sent > 0) tensord::NoteSent(fd, *message, static_cast<size_t>(sent));
  return sent;
}
