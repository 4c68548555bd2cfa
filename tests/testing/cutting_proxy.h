// A TCP proxy that breaks connections where a test wants it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "src/mutex.h"
#include "src/owned_fd.h"

namespace tensord {

// What happens to one connection.
struct ProxyRule {
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  uint64_t cut_after = kNever;         // Bytes from server to client; then it ends both ways.
  bool half_close = false;             // Ends only the way to the client, by FIN.
  bool falls_silent = false;           // Ends nothing: no byte goes to the client any more.
  std::chrono::microseconds delay{0};  // Before each piece that goes to the client.
};

// Listens on 127.0.0.1. Aborts where the system fails it. A connection is two threads.
class CuttingProxy {
 public:
  // `rule` says what happens to connection i, counted from 0; called from the proxy's threads.
  CuttingProxy(int server_port, std::function<ProxyRule(size_t)> rule);
  ~CuttingProxy();

  std::string address() const;

  // Later connections go there.
  void SetServerPort(int port) { server_port_ = port; }

  uint64_t bytes_to_client() const { return bytes_to_client_; }
  size_t num_connections() const { return num_connections_; }

 private:
  void Accept();
  void Serve(int client, int server, ProxyRule rule);

  const std::function<ProxyRule(size_t)> rule_;
  std::atomic<int> server_port_;
  std::atomic<uint64_t> bytes_to_client_ = 0;
  std::atomic<size_t> num_connections_ = 0;
  std::atomic<bool> stopping_ = false;
  OwnedFd listener_;
  int port_ = 0;
  Mutex mutex_;
  std::vector<int> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  std::thread acceptor_;
};

}  // namespace tensord
