// Addresses, and servers that are not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tensord/client.h"
#include "tests/client/test_server.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

ClientOptions Impatient() {
  ClientOptions options;
  options.connect_timeout = absl::Milliseconds(300);
  return options;
}

struct AddressRow {
  std::string name;
  std::string address;
  std::string error;  // Part of the message; empty: it is good.
};

class Addresses : public ::testing::TestWithParam<AddressRow> {};

TEST_P(Addresses, AreJudged) {
  const absl::Status status = Client::Connect(GetParam().address).status();
  if (GetParam().error.empty()) {
    EXPECT_TRUE(status.ok()) << status;
  } else {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().error));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Addresses,
    ::testing::Values(
        AddressRow{"host_port", "example:50051", ""}, AddressRow{"v4", "127.0.0.1:1", ""},
        AddressRow{"v6", "[::1]:65535", ""}, AddressRow{"dns", "dns:///example:50051", ""},
        AddressRow{"unix_short", "unix:/run/s", ""}, AddressRow{"unix_long", "unix:///run/s", ""},
        AddressRow{"empty", "", "no host:port"}, AddressRow{"no_port", "example", "no host:port"},
        AddressRow{"no_host", ":50051", "no host:port"},
        AddressRow{"port_0", "example:0", "no port from 1 to 65535"},
        AddressRow{"port_text", "example:grpc", "no port from 1 to 65535"},
        AddressRow{"port_large", "example:65536", "no port from 1 to 65535"},
        AddressRow{"url", "http://example:50051", "slash"},
        AddressRow{"v6_bare", "::1:50051", "brackets"},
        AddressRow{"unix_empty", "unix:", "no path"},
        AddressRow{"unix_too_long", "unix:/" + std::string(107, 'x'), "108 bytes, above the 107"}),
    [](const ::testing::TestParamInfo<AddressRow>& row) { return row.param.name; });

TEST(Connect, RefusesSenselessOptions) {
  ClientOptions options;
  options.connect_timeout = absl::ZeroDuration();
  EXPECT_EQ(Client::Connect("h:1", options).status().code(), absl::StatusCode::kInvalidArgument);
  options = {};
  options.num_async_threads = 0;
  EXPECT_EQ(Client::Connect("h:1", options).status().code(), absl::StatusCode::kInvalidArgument);
  options = {};
  options.keepalive_interval = absl::Milliseconds(999);
  EXPECT_EQ(Client::Connect("h:1", options).status().code(), absl::StatusCode::kInvalidArgument);
  options = {};
  options.chunk_bytes = options.max_message_bytes;
  EXPECT_EQ(Client::Connect("h:1", options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Connect, ADeadAddressTakesTheTimeoutAndIsNamedWithItsCause) {
  const TempDir dir;
  const std::string address = "unix:" + dir.Path("nobody");
  const auto client = Client::Connect(address, Impatient());
  ASSERT_TRUE(client.ok()) << client.status();
  const absl::Time begin = absl::Now();
  const absl::Status status = client->ListModels().status();
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(300));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(address));
  EXPECT_THAT(std::string(status.message()), HasSubstr("No such file"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("300ms"));
}

TEST(Connect, ADeadlineBeforeTheTimeoutIsADeadline) {
  const TempDir dir;
  const auto client = Client::Connect("unix:" + dir.Path("nobody"));
  CallOptions call;
  call.deadline = absl::Now() + absl::Milliseconds(100);
  EXPECT_EQ(client->ListModels("", call).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(Connect, CancelsWhileWaiting) {
  const TempDir dir;
  const auto client = Client::Connect("unix:" + dir.Path("nobody"));
  CallOptions call;
  call.cancellation.emplace();
  absl::Status status;
  std::thread waiting([&] { status = client->ListModels("", call).status(); });
  call.cancellation->Cancel();
  waiting.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
}

TEST(Connect, AServerThatGoesIsNamedAndFoundAgain) {
  TestServer server;
  WriteSafetensors(server.store().Path("m.safetensors"), {{"x", Dtype::kU8, {2}, "01"}});
  server.Start();
  const Client client = server.Connect(Impatient());
  ASSERT_TRUE(client.GetTensor("m", "x").ok());
  server.Stop();
  const absl::Status status = client.GetTensor("m", "x").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(server.unix_socket()));
  server.Start();
  // The next attempt to connect comes with gRPC's backoff.
  absl::Status again;
  for (int i = 0; i < 20 && !(again = client.GetTensor("m", "x").status()).ok(); ++i) {
  }
  EXPECT_TRUE(again.ok()) << again;
}

TEST(Connect, AServerThatComesLaterIsWaitedFor) {
  TestServer server;
  WriteSafetensors(server.store().Path("m.safetensors"), {{"x", Dtype::kU8, {2}, "01"}});
  const Client client = server.Connect();
  absl::Status status;
  std::thread waiting([&] { status = client.GetTensor("m", "x").status(); });
  server.Start();
  waiting.join();
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace tensord
