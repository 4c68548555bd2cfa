// Stream sockets of the yardsticks, with the same buffers and congestion control as tensord's own.
#pragma once

#include <functional>
#include <string>

namespace tensord::bench {

struct SocketTuning {
  int send_buffer_bytes = 0;  // 0: the system's default.
  std::string congestion;     // TCP only, e.g. "cubic". Empty: the system's default.
};

// Listens at "unix:/path" or "127.0.0.1:port" (0: any), says `listening address=...` on stderr, and
// calls `serve` with each accepted and tuned socket, which it then owns. Does not return.
[[noreturn]] void AcceptLoop(const std::string& address, const SocketTuning& tuning,
                             const std::function<void(int fd)>& serve);

// A connected socket; ends the program when there is no listener.
int ConnectTo(const std::string& address);

// Sends or receives all of it; false when the other side is gone.
bool SendAll(int fd, const void* data, size_t size_bytes);
bool ReceiveAll(int fd, void* data, size_t size_bytes);

}  // namespace tensord::bench
