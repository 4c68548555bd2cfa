// A server of this process on a free port, for tests that want the real thing.
#pragma once

#include <memory>
#include <string>

#include "server/server.h"
#include "src/catalog.h"
#include "src/live_catalog.h"
#include "src/read_mode.h"
#include "tensord/v1/tensord.grpc.pb.h"

namespace tensord {

// Serves the store in a directory on 127.0.0.1. Aborts where that fails.
class TestServer {
 public:
  explicit TestServer(const std::string& store);
  TestServer(const std::string& store, ServerOptions options);
  TestServer(const std::string& store, ServerOptions options, ReadMode mode);

  v1::TensorStore::Stub& stub() { return *stub_; }
  Server& server() { return *server_; }
  LiveCatalog& catalog() { return catalog_; }

  // Scans the store again.
  void Reload();

 private:
  const std::string store_;
  const ReadMode mode_;
  LiveCatalog catalog_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::TensorStore::Stub> stub_;
};

}  // namespace tensord
