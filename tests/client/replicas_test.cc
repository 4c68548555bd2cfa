// Several servers behind one address: who is asked, and what becomes of a read whose server is
// lost.
#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/server.h"
#include "src/live_catalog.h"
#include "tensord/client.h"
#include "tensord/error_reason.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

constexpr uint64_t kBigBytes = 48 << 20;  // Far above what a stream may send ahead.

std::string Pattern() {
  std::string bytes(kBigBytes, 0);
  uint64_t state = 1;
  for (char& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

// Counts the calls of one server.
class Counter final : public CallObserver {
 public:
  void CallBegan(const CallRecord& /*record*/) override { ++num_calls_; }
  void BytesSent(const CallRecord& /*record*/, uint64_t /*bytes*/) override {}
  void CallEnded(const CallRecord& /*record*/, const absl::Status& /*status*/) override {}

  size_t num_calls() const { return num_calls_; }

 private:
  std::atomic<size_t> num_calls_ = 0;
};

// Three replicas of one store, on addresses of their own as pods have them.
class ReplicasTest : public ::testing::Test {
 protected:
  // gRPC takes up to ten seconds to shut down when its last user goes while a poller sleeps.
  static void SetUpTestSuite() { grpc_init(); }

  struct Replica {
    LiveCatalog catalog;
    Counter counter;
    std::unique_ptr<Server> server;
  };

  ReplicasTest() : big_(Pattern()) {
    WriteSafetensors(store_.Path("m.safetensors"), {{"big", Dtype::kU8, {kBigBytes}, big_}});
    std::string servers;
    for (size_t i = 0; i < replicas_.size(); ++i) {
      const std::string address = Start(replicas_[i], absl::StrCat("127.0.0.", 2 + i, ":0"));
      absl::StrAppend(&servers, servers.empty() ? "ipv4:" : ",", address);
    }
    ClientOptions options;
    options.first_backoff = absl::Milliseconds(1);
    auto client = Client::Connect(servers, options);
    EXPECT_TRUE(client.ok()) << client.status();
    client_ = std::make_unique<Client>(*std::move(client));
  }

  std::string Start(Replica& replica, const std::string& address) {
    auto catalog = Catalog::Load({{"", store_.path()}}, 1);
    EXPECT_TRUE(catalog.ok()) << catalog.status();
    replica.catalog.Swap(*std::move(catalog));
    ServerOptions options;
    options.listen = {address};
    options.observer = &replica.counter;
    auto server = Server::Start(options, &replica.catalog);
    EXPECT_TRUE(server.ok()) << server.status();
    replica.server = *std::move(server);
    return replica.server->addresses().front();
  }

  // Ends each server that has a stream now, at once; returns how many.
  size_t StopBusy() {
    size_t stopped = 0;
    for (Replica& replica : replicas_) {
      if (replica.server == nullptr || replica.server->num_streams() == 0) continue;
      replica.server->Shutdown(std::chrono::milliseconds(0));
      replica.server.reset();
      ++stopped;
    }
    return stopped;
  }

  TempDir store_;
  const std::string big_;
  std::array<Replica, 3> replicas_;
  std::unique_ptr<Client> client_;
};

TEST_F(ReplicasTest, CallsGoRoundAllOfThem) {
  // Until each has a connection, calls go round those that have one.
  const auto all_asked = [this] {
    return std::all_of(replicas_.begin(), replicas_.end(),
                       [](const Replica& replica) { return replica.counter.num_calls() > 0; });
  };
  for (int i = 0; i < 10'000 && !all_asked(); ++i) {
    ASSERT_TRUE(client_->GetMetadata("m").ok());
  }
  std::array<size_t, 3> before{};
  for (size_t i = 0; i < 3; ++i) before[i] = replicas_[i].counter.num_calls();
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(client_->GetMetadata("m").ok());
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(replicas_[i].counter.num_calls() - before[i], 10u) << i;
}

TEST_F(ReplicasTest, AReadSurvivesTheLossOfTwoServers) {
  std::string received;
  size_t lost = 0;
  CallReport report;
  CallOptions call;
  call.report = &report;
  // The sink is asked in the midst of the stream: what it has not taken yet is still to be sent.
  const auto sink = [&](const FileStreamInfo& /*stream*/, uint64_t offset,
                        absl::Span<const std::byte> bytes) {
    EXPECT_EQ(offset, received.size());
    received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (lost < 2 && received.size() >= (lost + 1) * (8 << 20)) lost += StopBusy();
    return absl::OkStatus();
  };
  const auto info = client_->ReadFile("m", "m.safetensors", {}, sink, call);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(lost, 2u);
  EXPECT_GE(report.num_retries, 2u);
  ASSERT_EQ(received.size(), info->size_bytes);
  EXPECT_EQ(received.substr(received.size() - big_.size()), big_);
}

TEST_F(ReplicasTest, AReplicaOfAnotherVersionIsNeverMixedIn) {
  // The file changes while the first half is on its way; the others have not looked since, and
  // find another file than the one that they know.
  std::string received;
  bool has_changed = false;
  const auto sink = [&](const FileStreamInfo& /*stream*/, uint64_t /*offset*/,
                        absl::Span<const std::byte> bytes) {
    received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!has_changed && received.size() >= (8 << 20)) {
      has_changed = true;
      std::string other = big_;
      other.back() = static_cast<char>(~other.back());
      WriteSafetensors(store_.Path("new"), {{"big", Dtype::kU8, {kBigBytes}, other}});
      std::filesystem::rename(store_.Path("new"), store_.Path("m.safetensors"));
      for (Replica& replica : replicas_) {
        replica.catalog.Swap(*Catalog::Load({{"", store_.path()}}, 1));
      }
      EXPECT_EQ(StopBusy(), 1u);
    }
    return absl::OkStatus();
  };
  const auto info = client_->ReadFile("m", "m.safetensors", {}, sink);
  EXPECT_EQ(ReasonOf(info.status()), ErrorReason::kVersionChanged) << info.status();
}

}  // namespace
}  // namespace tensord
