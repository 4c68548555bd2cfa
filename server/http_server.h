// HTTP for probes and metrics, and for nothing else.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/http_answer.h"
#include "server/listener.h"
#include "src/owned_fd.h"

namespace tensord {

// Answers GET and HEAD, one request a connection, in one thread of its own that waits for nobody:
// so probes are answered however busy the rest of the process is. Whoever can connect may ask, so
// that everything has a limit; what exceeds one is cut, and when all places are taken, whoever has
// been silent for longest makes room.
class HttpServer {
 public:
  static constexpr size_t kMaxConnections = 16;
  // For a whole connection, from its begin.
  static constexpr std::chrono::seconds kMaxDuration{2};

  // Serves at once; `handler` is called in the server's thread. Errors: RESOURCE_EXHAUSTED without
  // descriptors.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(std::vector<Listener> listeners,
                                                           HttpHandler handler);
  // Cuts what is under way.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  struct Connection {
    OwnedFd fd;
    Clock::time_point deadline;
    std::string request;
    std::string response;  // Empty: the request is not complete yet.
    size_t sent_bytes = 0;
    bool is_done = false;
  };

  HttpServer(std::vector<Listener> listeners, HttpHandler handler, OwnedFd wake);

  void Run();
  // The time until the next connection is overdue, in milliseconds; -1: none.
  int PollTimeout() const;
  void Accept(const Listener& listener);
  void MakeRoom();
  void Proceed(Connection& connection);
  void Read(Connection& connection);
  void Write(Connection& connection);
  void CutOverdue();

  const std::vector<Listener> listeners_;
  const HttpHandler handler_;
  const OwnedFd wake_;  // An eventfd: readable once the thread is to end.
  std::list<Connection> connections_;
  std::thread thread_;
};

}  // namespace tensord
