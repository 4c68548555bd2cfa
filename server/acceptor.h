// Accepts connections and hands them to gRPC.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "server/listener.h"
#include "src/owned_fd.h"

namespace tensord {

// Our own accept loop, because gRPC's ends for ever at the first error such as "too many open
// files", steals a Unix socket that is in use, and lets nobody set a socket's buffers.
class Acceptor {
 public:
  // Registers with the builder; the server is built after this.
  Acceptor(std::vector<Listener> listeners, grpc::ServerBuilder& builder);
  // Stops.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Begins to accept for `server`, which must outlive Stop. Errors: RESOURCE_EXHAUSTED.
  absl::Status Start(grpc::Server* server);

  // Accepts no more and closes the listeners. May be called twice.
  void Stop();

  const std::vector<Listener>& listeners() const { return listeners_; }

 private:
  void Run();
  void Accept(const Listener& listener);
  void Hand(OwnedFd connection, const Listener& listener);
  // Makes room to refuse one connection when no descriptor is left.
  void RefuseOne(const Listener& listener);

  std::vector<Listener> listeners_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> tcp_;
  grpc::Server* server_ = nullptr;
  OwnedFd wake_;   // An eventfd: readable once the loop is to end.
  OwnedFd spare_;  // Given up to accept and refuse a connection when descriptors run out.
  std::thread thread_;
};

}  // namespace tensord
