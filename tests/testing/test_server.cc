#include "tests/testing/test_server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace tensord {
namespace {

template <typename T>
T OrAbort(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::abort();
}

ServerOptions AnyPort() {
  ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  return options;
}

}  // namespace

TestServer::TestServer(const std::string& store) : TestServer(store, AnyPort()) {}

TestServer::TestServer(const std::string& store, ServerOptions options)
    : TestServer(store, std::move(options), ReadMode::kAuto) {}

TestServer::TestServer(const std::string& store, ServerOptions options, ReadMode mode)
    : store_(store), mode_(mode) {
  Reload();
  server_ = OrAbort(Server::Start(options, &catalog_));
  server_->SetServing(true);
  stub_ = v1::TensorStore::NewStub(
      grpc::CreateChannel(server_->addresses().front(), grpc::InsecureChannelCredentials()));
}

void TestServer::Reload() {
  CatalogOptions options;
  options.num_threads = 2;
  options.read_mode = mode_;
  catalog_.Swap(OrAbort(Catalog::Load({{"", store_}}, options, [](const std::string&) {})));
}

}  // namespace tensord
