// A real server over a directory of one test.
#pragma once

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "server/server.h"
#include "src/live_catalog.h"
#include "tensord/client.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {

// Serves from Start to Stop, on a socket within its own directory and on a TCP port of the system's
// choice. Aborts where a test could not go on.
class TestServer {
 public:
  ~TestServer() { Stop(); }

  const TempDir& store() const { return store_; }

  void Start() {
    Reload();
    ServerOptions options;
    options.listen = {"127.0.0.1:0", "unix:" + socket_.Path("s")};
    auto server = Server::Start(options, &catalog_);
    if (!server.ok()) Die(server.status());
    server_ = *std::move(server);
  }

  // Scans the store again.
  void Reload() {
    auto catalog = Catalog::Load({{"", store_.path()}}, 1);
    if (!catalog.ok()) Die(catalog.status());
    catalog_.Swap(*std::move(catalog));
  }

  void Stop() {
    if (server_) server_->Shutdown(std::chrono::milliseconds(0));
    server_.reset();
  }

  std::string tcp() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  std::string unix_socket() const { return "unix:" + socket_.Path("s"); }

  Client Connect(const ClientOptions& options = {}) const {
    auto client = Client::Connect(unix_socket(), options);
    if (!client.ok()) Die(client.status());
    return *std::move(client);
  }

 private:
  [[noreturn]] static void Die(const absl::Status& status) {
    std::cerr << status << std::endl;
    std::abort();
  }

  TempDir store_;
  TempDir socket_;
  LiveCatalog catalog_;
  std::unique_ptr<Server> server_;
};

}  // namespace tensord
