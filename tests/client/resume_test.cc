// Connections that break on the way: what arrives in the end, and what it costs.
#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tensord/client.h"
#include "tests/client/test_server.h"
#include "tests/testing/cutting_proxy.h"

namespace tensord {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kBigBytes = 24 << 20;
constexpr size_t kNumSmall = 3000;
constexpr uint64_t kSmallBytes = 4 << 10;
constexpr uint64_t kStripedBytes = 80 << 20;

// What a connection may carry besides data, and what a cut message of 1 MiB wastes of a stream.
constexpr uint64_t kOverheadBytes = 64 << 10;
constexpr uint64_t kInFlightBytes = 2 << 20;

absl::Span<std::byte> Bytes(std::string& text) {
  return {reinterpret_cast<std::byte*>(text.data()), text.size()};
}
std::string Text(absl::Span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Pattern(uint64_t size, uint64_t seed) {
  std::string bytes(size, 0);
  std::mt19937_64 random(seed);
  for (uint64_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t word = random();
    std::copy_n(reinterpret_cast<const char*>(&word), 8, bytes.data() + i);
  }
  return bytes;
}

class ResumeTest : public ::testing::Test {
 protected:
  // gRPC takes up to ten seconds to shut down when its last user goes while a poller sleeps; here
  // it lives as long as the process. Never before main: linked statically, gRPC has globals of its
  // own that are not constructed yet.
  static void SetUpTestSuite() { grpc_init(); }

  ResumeTest() : seed_(std::random_device{}()), random_(seed_) {
    RecordProperty("seed", static_cast<int>(seed_));
    std::cout << "seed " << seed_ << std::endl;
    big_ = Pattern(kBigBytes, 1);
    WriteModel(big_);
    server_.Start();
  }

  void WriteModel(const std::string& big) {
    std::vector<TestTensor> tensors = {{"big", Dtype::kU8, {kBigBytes / 1024, 1024}, big}};
    for (size_t i = 0; i < kNumSmall; ++i) {
      tensors.push_back({absl::StrCat("t", i), Dtype::kU8, {kSmallBytes}, Pattern(kSmallBytes, i)});
    }
    // By rename, as a replacement should be.
    WriteSafetensors(server_.store().Path("m.new"), tensors);
    std::filesystem::rename(server_.store().Path("m.new"), server_.store().Path("m.safetensors"));
  }

  // Cuts each of the first `num_cuts` connections after a random number of bytes.
  void Cut(size_t num_cuts, uint64_t from, uint64_t to, bool half_close = false) {
    std::vector<uint64_t> after(num_cuts);
    for (uint64_t& bytes : after)
      bytes = std::uniform_int_distribution<uint64_t>(from, to)(random_);
    SetRule([after, half_close](size_t i) {
      ProxyRule rule;
      if (i < after.size()) rule.cut_after = after[i];
      rule.half_close = half_close;
      return rule;
    });
  }
  void SetRule(std::function<ProxyRule(size_t)> rule) {
    proxy_.emplace(std::stoi(server_.tcp().substr(server_.tcp().find(':') + 1)), std::move(rule));
  }

  Client Connect(ClientOptions options = {}) {
    options.first_backoff = absl::Milliseconds(1);
    auto client = Client::Connect(proxy_->address(), options);
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  // Everything came, and nothing twice but for what the cuts had in flight.
  void ExpectCost(const CallReport& report, uint64_t size, size_t num_cuts) {
    EXPECT_EQ(report.bytes_received, size);
    // A connection that has just died may be tried once more before gRPC notices.
    EXPECT_GE(report.num_retries, num_cuts);
    EXPECT_LE(proxy_->bytes_to_client(),
              size + size / 100 + kOverheadBytes + num_cuts * kInFlightBytes);
  }

  std::vector<ReadRequest> EverySmall(std::string& memory) {
    memory.assign(kNumSmall * kSmallBytes, '.');
    std::vector<ReadRequest> requests(kNumSmall);
    for (size_t i = 0; i < kNumSmall; ++i) {
      requests[i].tensor = absl::StrCat("t", i);
      requests[i].destination = Bytes(memory).subspan(i * kSmallBytes, kSmallBytes);
    }
    return requests;
  }
  static void ExpectEverySmall(const std::string& memory) {
    for (size_t i = 0; i < kNumSmall; ++i) {
      ASSERT_EQ(memory.substr(i * kSmallBytes, kSmallBytes), Pattern(kSmallBytes, i)) << i;
    }
  }

  const uint32_t seed_;
  std::mt19937 random_;
  std::string big_;
  TestServer server_;
  std::optional<CuttingProxy> proxy_;
  CallReport report_;
};

CallOptions Into(CallReport& report) {
  CallOptions call;
  call.report = &report;
  return call;
}

TEST_F(ResumeTest, ATensorGoesOnAtItsByte) {
  Cut(5, 1 << 20, 4 << 20);
  const auto data = Connect().GetTensor("m", "big", Into(report_));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), big_);
  ExpectCost(report_, kBigBytes, 5);
}

TEST_F(ResumeTest, ASliceGoesOnInAPitchedDestination) {
  Cut(4, 1 << 20, 2 << 20);
  std::string memory(kBigBytes, '.');
  const absl::Status status = Connect().ReadSlice(
      "m", "big", *Slice::Parse("[:, :512]"), Destination(Bytes(memory), {1024, 1}), Into(report_));
  ASSERT_TRUE(status.ok()) << status;
  for (uint64_t row = 0; row < kBigBytes / 1024; ++row) {
    ASSERT_EQ(memory.substr(row * 1024, 1024),
              big_.substr(row * 1024, 512) + std::string(512, '.'));
  }
  ExpectCost(report_, kBigBytes / 2, 4);
}

TEST_F(ResumeTest, ChecksumsHoldAcrossResumes) {
  Cut(3, 1 << 20, 4 << 20);
  ClientOptions options;
  options.checksum = true;
  const auto data = Connect(options).GetTensor("m", "big", Into(report_));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), big_);
  ExpectCost(report_, kBigBytes, 3);
}

TEST_F(ResumeTest, AHalfClosedConnectionIsResumedToo) {
  Cut(2, 1 << 20, 4 << 20, /*half_close=*/true);
  const auto data = Connect().GetTensor("m", "big", Into(report_));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), big_);
}

TEST_F(ResumeTest, AHostThatIsGoneIsNoticedAndResumedFrom) {
  SetRule([](size_t i) {
    ProxyRule rule;
    if (i == 0) rule.cut_after = 4 << 20;
    rule.falls_silent = true;
    return rule;
  });
  ClientOptions options;
  options.keepalive_interval = absl::Seconds(1);
  const auto data = Connect(options).GetTensor("m", "big", Into(report_));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), big_);
  EXPECT_EQ(report_.bytes_received, kBigBytes);
  EXPECT_GE(report_.num_retries, 1u);
}

TEST_F(ResumeTest, ABatchGoesOnPerResult) {
  // Messages shorter than the shortest stretch: one that is cut within its first has brought
  // nothing.
  ClientOptions options;
  options.chunk_bytes = 64 << 10;
  Cut(6, 100 << 10, 1500 << 10);
  std::string memory;
  const std::vector<ReadRequest> requests = EverySmall(memory);
  ReadProgress last;
  const auto report = Connect(options).ReadMany("m", requests, [&](const ReadProgress& progress) {
    EXPECT_GE(progress.bytes, last.bytes);
    EXPECT_GE(progress.requests, last.requests);
    last = progress;
  });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->failures, IsEmpty());
  EXPECT_EQ(report->bytes, memory.size());
  EXPECT_EQ(last.requests, kNumSmall);
  EXPECT_EQ(last.bytes, memory.size());
  ExpectEverySmall(memory);
  ExpectCost({report->bytes_received, report->num_retries, 0}, memory.size(), 6);
}

TEST_F(ResumeTest, ABatchGoesOnWithinALargeResult) {
  Cut(4, 1 << 20, 4 << 20);
  std::string whole(kBigBytes, '.');
  std::string part(5 << 20, '.');
  const std::vector<ReadRequest> requests = {{"big", {}, {}, Bytes(whole)},
                                             {"big", {}, ByteRange{3, 5 << 20}, Bytes(part)}};
  const auto report = Connect().ReadMany("m", requests);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(whole, big_);
  EXPECT_EQ(part, big_.substr(3, 5 << 20));
  ExpectCost({report->bytes_received, report->num_retries, 0}, whole.size() + part.size(), 4);
}

TEST_F(ResumeTest, APlanGoesOn) {
  Cut(3, 20 << 10, 60 << 10);
  const auto plan = Connect().Plan("m", std::vector<Selection>(200, {"", "t1?", {}}));
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->size(), 200 * 10);
  for (size_t i = 0; i < plan->size(); ++i) {
    ASSERT_EQ((*plan)[i].selection, i / 10);
    ASSERT_EQ((*plan)[i].tensor, absl::StrCat("t1", i % 10));
  }
}

TEST_F(ResumeTest, AFileReachesItsSinkWithoutGapOrRepetition) {
  Cut(5, 1 << 20, 4 << 20);
  std::string got;
  const auto file = Connect().ReadFile(
      "m", "m.safetensors", {5, {}},
      [&](const FileStreamInfo&, uint64_t offset, absl::Span<const std::byte> bytes) {
        EXPECT_EQ(offset, 5 + got.size());
        got += Text(bytes);
        return absl::OkStatus();
      },
      Into(report_));
  ASSERT_TRUE(file.ok()) << file.status();
  std::ifstream original(server_.store().Path("m.safetensors"), std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(original), {}};
  EXPECT_EQ(got, all.substr(5));
  ExpectCost(report_, all.size() - 5, 5);
}

TEST_F(ResumeTest, AsynchronousCallsResume) {
  Cut(3, 1 << 20, 4 << 20);
  std::promise<absl::StatusOr<TensorData>> promise;
  const Client client = Connect();
  client.GetTensorAsync("m", "big", Into(report_),
                        [&](auto data) { promise.set_value(std::move(data)); });
  const auto data = promise.get_future().get();
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), big_);
  ExpectCost(report_, kBigBytes, 3);
}

TEST_F(ResumeTest, AListingIsAskedForAgain) {
  Cut(2, 100, 300);
  const auto models = Connect().ListModels("", Into(report_));
  ASSERT_TRUE(models.ok()) << models.status();
  EXPECT_EQ(models->size(), 1);
}

TEST_F(ResumeTest, WithoutRetriesACutIsTheEnd) {
  Cut(1, 1 << 20, 4 << 20);
  ClientOptions options;
  options.retry = false;
  const absl::Status status = Connect(options).GetTensor("m", "big", Into(report_)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(report_.num_retries, 0);  // The channel may connect again all the same.
  EXPECT_LT(report_.bytes_received, kBigBytes);
}

TEST_F(ResumeTest, EndlessCutsWithoutProgressEnd) {
  SetRule([](size_t) { return ProxyRule{200}; });
  const absl::Status status = Connect().GetTensor("m", "big", Into(report_)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("after 6 attempts, 0 bytes received"));
  EXPECT_EQ(report_.num_retries, 5);
}

// Replaces the model while the first stream of a read is under way, which then breaks.
class ReplacedTest : public ResumeTest {
 protected:
  ReplacedTest() {
    new_big_ = Pattern(kBigBytes, 2);
    SetRule([this](size_t i) {
      ProxyRule rule;
      if (i == 0) rule.cut_after = 4 << 20;
      if (i == 1) {
        WriteModel(new_big_);
        server_.Reload();
      }
      return rule;
    });
  }

  std::string new_big_;
};

TEST_F(ReplacedTest, AnotherVersionIsAnErrorThatTellsWhatHadCome) {
  const absl::Status status = Connect().GetTensor("m", "big").status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kVersionChanged) << status;
  // Two, or more where gRPC had not noticed yet that the connection is dead.
  EXPECT_THAT(std::string(status.message()),
              ContainsRegex("after [2-9] attempts, [1-9][0-9]* bytes received"));
}

TEST_F(ReplacedTest, ARestartThatWasAskedForBringsTheNewVersionWhole) {
  CallOptions call = Into(report_);
  call.restart_on_version_change = true;
  const auto data = Connect().GetTensor("m", "big", call);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(Text(data->bytes()), new_big_);
  EXPECT_EQ(report_.num_restarts, 1);
}

TEST_F(ReplacedTest, ABatchRestartsWhole) {
  CallOptions call = Into(report_);
  call.restart_on_version_change = true;
  std::string memory(kBigBytes, '.');
  std::string small(kSmallBytes, '.');
  const auto report = Connect().ReadMany(
      "m", std::vector<ReadRequest>{{"big", {}, {}, Bytes(memory)}, {"t7", {}, {}, Bytes(small)}},
      nullptr, call);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(memory, new_big_);
  EXPECT_EQ(report->bytes, memory.size() + small.size());
  EXPECT_EQ(report_.num_restarts, 1);
}

TEST_F(ReplacedTest, APinnedReadIsNotExchanged) {
  CallOptions call;
  call.restart_on_version_change = true;
  call.version = server_.Connect().GetMetadata("m")->version;
  const absl::Status status = Connect().GetTensor("m", "big", call).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kVersionChanged) << status;
}

TEST_F(ResumeTest, AReplacedSideFileIsNotMixed) {
  const auto side = [&](char c) {
    WriteBytes(server_.store().Path("notes.new"), std::string(8 << 20, c));
    std::filesystem::rename(server_.store().Path("notes.new"), server_.store().Path("notes.txt"));
  };
  side('a');
  server_.Reload();
  SetRule([&](size_t i) {
    if (i == 1) side('b'), server_.Reload();
    return i == 0 ? ProxyRule{3 << 20} : ProxyRule{};
  });
  const auto file =
      Connect().ReadFile("m", "notes.txt", {},
                         [&](const FileStreamInfo&, uint64_t, absl::Span<const std::byte> bytes) {
                           EXPECT_EQ(static_cast<char>(bytes[0]), 'a');
                           return absl::OkStatus();
                         });
  EXPECT_EQ(ReasonOf(file.status()), ErrorReason::kVersionChanged) << file.status();
}

// Large reads over several connections.
class StripedTest : public ResumeTest {
 protected:
  StripedTest() {
    striped_ = Pattern(kStripedBytes, 3);
    WriteSafetensors(server_.store().Path("large.safetensors"),
                     {{"a", Dtype::kU8, {kStripedBytes}, striped_}, {"b", Dtype::kU8, {3}, "xyz"}});
    server_.Reload();
    options_.connections = 4;
  }

  ClientOptions options_;
  std::string striped_;
};

TEST_F(StripedTest, ATensorComesOverAllConnections) {
  Cut(0, 0, 0);
  const auto data = Connect(options_).GetTensor("large", "a", Into(report_));
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_TRUE(Text(data->bytes()) == striped_);
  EXPECT_EQ(proxy_->num_connections(), 4);
  EXPECT_EQ(report_.bytes_received, kStripedBytes);
}

TEST_F(StripedTest, EachStripeResumesAtItsByte) {
  Cut(7, 2 << 20, 9 << 20);
  std::string memory(kStripedBytes, '.');
  const absl::Status status =
      Connect(options_).ReadSlice("large", "a", {}, Bytes(memory), Into(report_));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(memory == striped_);
  ExpectCost(report_, kStripedBytes, report_.num_retries);
  EXPECT_GE(report_.num_retries, 4);
}

TEST_F(StripedTest, ABatchIsSpread) {
  Cut(5, 2 << 20, 9 << 20);
  std::string memory(kStripedBytes, '.');
  std::string small(3, '.');
  std::string part(kStripedBytes - 9, '.');
  const std::vector<ReadRequest> requests = {{"b", {}, {}, Bytes(small)},
                                             {"a", {}, {}, Bytes(memory)},
                                             {"a", {}, ByteRange{9, {}}, Bytes(part)}};
  ReadProgress last;
  const auto report = Connect(options_).ReadMany(
      "large", requests, [&](const ReadProgress& progress) { last = progress; });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(small, "xyz");
  EXPECT_TRUE(memory == striped_);
  EXPECT_TRUE(part == striped_.substr(9));
  EXPECT_EQ(report->bytes, small.size() + memory.size() + part.size());
  EXPECT_EQ(last.bytes, report->bytes);
  EXPECT_EQ(last.requests, 3);
}

TEST_F(StripedTest, OneStripesErrorEndsAll) {
  std::string memory(kStripedBytes - 1, '.');
  Cut(0, 0, 0);
  const absl::Status status = Connect(options_).ReadSlice("large", "a", {}, Bytes(memory));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

}  // namespace
}  // namespace tensord
