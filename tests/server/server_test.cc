#include "server/server.h"

#include <grpc/grpc.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "tests/temp_dir.h"
#include "tests/testing/received_stream.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/test_server.h"

namespace tensord {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    WriteSafetensors(dir_.Path("store/m.safetensors"), {{"t", Dtype::kU8, {1 << 20}, ""}});
  }

  std::string Store() const { return dir_.Path("store"); }
  ServerOptions ListenAt(std::vector<std::string> addresses) const {
    ServerOptions options;
    options.listen = std::move(addresses);
    return options;
  }
  static std::shared_ptr<grpc::Channel> Dial(const std::string& address) {
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  }
  // The tensor `t` through `address`.
  static ReceivedStream Fetch(const std::string& address) {
    const auto stub = v1::TensorStore::NewStub(Dial(address));
    grpc::ClientContext context;
    v1::GetTensorRequest request;
    request.set_model("m");
    request.set_tensor("t");
    return Receive(context, stub->GetTensor(&context, request));
  }

  TempDir dir_;
};

TEST_F(ServerTest, EveryAddressServesTheSame) {
  const std::string socket = dir_.Path("t.sock");
  TestServer server(Store(), ListenAt({"127.0.0.1:0", "unix:" + socket, "localhost:0"}));
  const std::vector<std::string>& addresses = server.server().addresses();
  ASSERT_GE(addresses.size(), 3);
  EXPECT_THAT(addresses[0], StartsWith("127.0.0.1:"));
  EXPECT_EQ(addresses[0], absl::StrCat("127.0.0.1:", server.server().port()));
  EXPECT_EQ(addresses[1], "unix:" + socket);
  for (const std::string& address : addresses) {
    const ReceivedStream got = Fetch(address);
    EXPECT_EQ(got.status, absl::OkStatus()) << address;
    EXPECT_EQ(got.bytes_sent, 1 << 20) << address;
  }
}

TEST_F(ServerTest, PortInUseIsAlreadyExistsAndTheFirstServerGoesOn) {
  TestServer first(Store());
  LiveCatalog catalog;
  const auto second = Server::Start(ListenAt({first.server().addresses()[0]}), &catalog);
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_EQ(Fetch(first.server().addresses()[0]).status, absl::OkStatus());
}

TEST_F(ServerTest, SocketInUseIsAlreadyExistsAndTheFirstServerGoesOn) {
  const std::string address = "unix:" + dir_.Path("t.sock");
  TestServer first(Store(), ListenAt({address}));
  LiveCatalog catalog;
  const auto second = Server::Start(ListenAt({address}), &catalog);
  EXPECT_TRUE(absl::IsAlreadyExists(second.status())) << second.status();
  EXPECT_EQ(Fetch(address).status, absl::OkStatus());
}

TEST_F(ServerTest, HealthFollowsServingAndTheProcessIsAlive) {
  TestServer server(Store());
  const auto stub = grpc::health::v1::Health::NewStub(Dial(server.server().addresses()[0]));
  const auto check = [&stub](const std::string& service) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    const grpc::Status status = stub->Check(&context, request, &response);
    return status.ok() ? static_cast<int>(response.status())
                       : -static_cast<int>(status.error_code());
  };
  EXPECT_EQ(check("tensord.v1.TensorStore"), grpc::health::v1::HealthCheckResponse::SERVING);
  server.server().SetServing(false);
  EXPECT_EQ(check("tensord.v1.TensorStore"), grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(check(""), grpc::health::v1::HealthCheckResponse::SERVING);
  EXPECT_EQ(check("nonsense"), -grpc::StatusCode::NOT_FOUND);
}

// Both versions of reflection, by the same test.
template <typename Package>
class ReflectionTest : public ServerTest {};

struct V1 {
  using Service = grpc::reflection::v1::ServerReflection;
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;
};
struct V1Alpha {
  using Service = grpc::reflection::v1alpha::ServerReflection;
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;
};
using Versions = testing::Types<V1, V1Alpha>;
TYPED_TEST_SUITE(ReflectionTest, Versions);

template <typename Version>
typename Version::Response Ask(const std::string& address,
                               const typename Version::Request& request) {
  const auto stub =
      Version::Service::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  typename Version::Response response;
  EXPECT_TRUE(stream->Write(request));
  EXPECT_TRUE(stream->Read(&response));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  return response;
}

TYPED_TEST(ReflectionTest, ListsWhatIsServed) {
  TestServer server(this->Store());
  typename TypeParam::Request request;
  request.set_list_services("*");
  std::set<std::string> names;
  const auto response = Ask<TypeParam>(server.server().addresses()[0], request);
  for (const auto& service : response.list_services_response().service()) {
    names.insert(service.name());
  }
  EXPECT_THAT(names, UnorderedElementsAre("tensord.v1.TensorStore", "grpc.health.v1.Health",
                                          TypeParam::Service::service_full_name()));
}

TYPED_TEST(ReflectionTest, DescribesSymbolsAndFilesWithTheirImports) {
  TestServer server(this->Store());
  for (const char* symbol :
       {"tensord.v1.TensorStore", "tensord.v1.TensorPart.data", "grpc.health.v1.Health.Check"}) {
    typename TypeParam::Request request;
    request.set_file_containing_symbol(symbol);
    const auto response = Ask<TypeParam>(server.server().addresses()[0], request);
    ASSERT_GE(response.file_descriptor_response().file_descriptor_proto_size(), 1) << symbol;
    google::protobuf::FileDescriptorProto file;
    EXPECT_TRUE(file.ParseFromString(response.file_descriptor_response().file_descriptor_proto(0)));
    typename TypeParam::Request by_name;
    by_name.set_file_by_filename(file.name());
    EXPECT_EQ(Ask<TypeParam>(server.server().addresses()[0], by_name)
                  .file_descriptor_response()
                  .file_descriptor_proto(0),
              response.file_descriptor_response().file_descriptor_proto(0));
  }
}

TYPED_TEST(ReflectionTest, UnknownSymbolIsNotFoundAndAnEmptyRequestInvalid) {
  TestServer server(this->Store());
  typename TypeParam::Request request;
  EXPECT_EQ(Ask<TypeParam>(server.server().addresses()[0], request).error_response().error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.set_file_containing_symbol("tensord.v1.Nonsense");
  EXPECT_EQ(Ask<TypeParam>(server.server().addresses()[0], request).error_response().error_code(),
            grpc::StatusCode::NOT_FOUND);
  request.mutable_file_containing_extension()->set_containing_type("tensord.v1.TensorPart");
  EXPECT_EQ(Ask<TypeParam>(server.server().addresses()[0], request).error_response().error_code(),
            grpc::StatusCode::NOT_FOUND);
}

bool Reflects(const std::string& address) {
  const auto stub =
      V1::Service::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  stream->WritesDone();
  return stream->Finish().error_code() != grpc::StatusCode::UNIMPLEMENTED;
}

TEST_F(ServerTest, ReflectionCanBeOffAndAutoIsOffForRemoteAddresses) {
  ServerOptions options = ListenAt({"127.0.0.1:0"});
  options.reflection = Reflection::kOff;
  EXPECT_FALSE(Reflects(TestServer(Store(), options).server().addresses()[0]));
  options = ListenAt({"127.0.0.1:0", "0.0.0.0:0"});
  options.insecure_allow_remote = true;
  TestServer remote(Store(), options);
  EXPECT_FALSE(Reflects(remote.server().addresses()[0]));
  EXPECT_EQ(remote.server().remote_addresses().size(), 1);
  options.reflection = Reflection::kOn;
  EXPECT_TRUE(Reflects(TestServer(Store(), options).server().addresses()[0]));
}

TEST_F(ServerTest, RequestAboveTheLimitIsRefused) {
  ServerOptions options = ListenAt({"127.0.0.1:0"});
  options.max_request_bytes = 1000;
  TestServer server(Store(), options);
  grpc::ClientContext context;
  v1::GetTensorsRequest request;
  request.set_model(std::string(2000, 'm'));
  const ReceivedStream got = Receive(context, server.stub().GetTensors(&context, request));
  EXPECT_EQ(got.status.code(), absl::StatusCode::kResourceExhausted) << got.status;
}

TEST_F(ServerTest, CompressedRequestIsRefused) {
  TestServer server(Store());
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::GetTensorRequest request;
  request.set_model("m");
  request.set_tensor(std::string(10000, 't'));
  const ReceivedStream got = Receive(context, server.stub().GetTensor(&context, request));
  EXPECT_EQ(got.status.code(), absl::StatusCode::kUnimplemented) << got.status;
}

TEST_F(ServerTest, BytesThatAreNoMessageAreABadRequest) {
  TestServer server(Store());
  grpc::ClientContext context;
  // The request of another method: field 1 of a ListModelsRequest is text, but no UTF-8 here.
  v1::GetTensorRequest request;
  request.GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(1, "\xff\xfe");
  const ReceivedStream got = Receive(context, server.stub().GetTensor(&context, request));
  EXPECT_EQ(ReasonOf(got.status), ErrorReason::kBadRequest) << got.status;
}

TEST_F(ServerTest, ShutdownLetsAnIdleServerGoAtOnceAndCancelsAStalledStream) {
  auto server = std::make_unique<TestServer>(Store());
  const auto stub = v1::TensorStore::NewStub(Dial(server->server().addresses()[0]));
  grpc::ClientContext context;
  v1::GetTensorsRequest request;
  request.set_model("m");
  for (int i = 0; i < 1000; ++i) request.add_selections()->set_tensor("t");
  auto reader = stub->GetTensors(&context, request);
  v1::TensorChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  server->server().Shutdown(std::chrono::milliseconds(100));  // Returns: the stream is cancelled.
  while (reader->Read(&chunk)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(ServerTest, RunningStreamEndsWithinTheGrace) {
  auto server = std::make_unique<TestServer>(Store());
  const auto stub = v1::TensorStore::NewStub(Dial(server->server().addresses()[0]));
  grpc::ClientContext context;
  v1::GetTensorsRequest request;
  request.set_model("m");
  for (int i = 0; i < 200; ++i) request.add_selections()->set_tensor("t");
  auto reader = stub->GetTensors(&context, request);
  v1::TensorChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  std::thread stopper([&server] { server->server().Shutdown(std::chrono::seconds(60)); });
  uint64_t size_bytes = 0;
  do {
    for (const v1::TensorPart& part : chunk.parts()) size_bytes += part.data().size();
  } while (reader->Read(&chunk));
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(size_bytes, uint64_t{200} << 20);
  stopper.join();
}

// ---- ReadFile ----

class ReadFileTest : public ServerTest {
 protected:
  ReadFileTest() {
    dir_.Write("store/config.json", "{\"a\": 1}");
    dir_.Write("store/run.py", "print('code')");
    server_ = std::make_unique<TestServer>(Store());
  }

  struct Got {
    v1::FileStreamInfo info;
    std::string data;
    absl::Status status;
  };

  Got Read(v1::ReadFileRequest request) {
    if (request.model().empty()) request.set_model("m");
    grpc::ClientContext context;
    auto reader = server_->stub().ReadFile(&context, request);
    Got got;
    v1::FileChunk chunk;
    bool first = true;
    uint64_t next = request.range().offset();
    while (reader->Read(&chunk)) {
      EXPECT_EQ(chunk.has_info(), first);
      if (first) got.info = chunk.info();
      first = false;
      EXPECT_EQ(chunk.offset_bytes(), next);
      EXPECT_EQ(chunk.has_crc32c(), request.checksum());
      next += chunk.data().size();
      got.data += chunk.data();
    }
    got.status = FromGrpc(reader->Finish());
    return got;
  }

  std::unique_ptr<TestServer> server_;
};

TEST_F(ReadFileTest, GivesTheOriginalBytes) {
  v1::ReadFileRequest request;
  request.set_file("m.safetensors");
  request.set_checksum(true);
  const Got got = Read(request);
  ASSERT_EQ(got.status, absl::OkStatus());
  EXPECT_TRUE(got.data == SafetensorsBytes({{"t", Dtype::kU8, {1 << 20}, ""}}));
  EXPECT_EQ(got.info.size_bytes(), got.data.size());
  EXPECT_EQ(got.info.file(), "m.safetensors");
  EXPECT_FALSE(got.info.version().empty());
}

TEST_F(ReadFileTest, TagChangesWithTheSideFileAndTheVersionDoesNot) {
  v1::ReadFileRequest request;
  request.set_file("config.json");
  const Got before = Read(request);
  ASSERT_EQ(before.status, absl::OkStatus());
  EXPECT_EQ(before.data, "{\"a\": 1}");
  dir_.Write("store/config.json", "{\"a\": 22}");
  server_->Reload();
  const Got after = Read(request);
  EXPECT_EQ(after.data, "{\"a\": 22}");
  EXPECT_EQ(after.info.version(), before.info.version());
  EXPECT_NE(after.info.tag(), before.info.tag());
}

TEST_F(ReadFileTest, RangesAndTheirLimits) {
  v1::ReadFileRequest request;
  request.set_file("config.json");
  request.mutable_range()->set_offset(1);
  request.mutable_range()->set_length(3);
  EXPECT_EQ(Read(request).data, "\"a\"");
  request.mutable_range()->set_offset(8);
  request.mutable_range()->clear_length();
  const Got empty = Read(request);
  EXPECT_EQ(empty.status, absl::OkStatus());
  EXPECT_EQ(empty.data, "");
  EXPECT_EQ(empty.info.size_bytes(), 8);
  request.mutable_range()->set_offset(9);
  EXPECT_EQ(ReasonOf(Read(request).status), ErrorReason::kRangeOutOfBounds);
}

TEST_F(ReadFileTest, OnlyWhatTheListingHas) {
  for (const char* name : {"run.py", "../store/config.json", "/etc/passwd", "", "config.jso"}) {
    v1::ReadFileRequest request;
    request.set_file(name);
    EXPECT_EQ(ReasonOf(Read(request).status), ErrorReason::kFileNotFound) << name;
  }
  v1::ReadFileRequest request;
  request.set_file("config.json");
  request.set_version("x");
  EXPECT_EQ(ReasonOf(Read(request).status), ErrorReason::kVersionChanged);
  request.clear_version();
  request.set_model("nope");
  EXPECT_EQ(ReasonOf(Read(request).status), ErrorReason::kModelNotFound);
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(99, 1);
  EXPECT_EQ(ReasonOf(Read(request).status), ErrorReason::kUnknownField);
}

}  // namespace
}  // namespace tensord
