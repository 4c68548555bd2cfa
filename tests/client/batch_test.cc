// Many tensors at once, against a real server and real files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tensord/client.h"
#include "tests/client/test_server.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// As many tensors as DeepSeek-V3 has.
constexpr size_t kNumSmall = 91'991;
constexpr size_t kNumPages = 10'000;
constexpr size_t kPageBytes = 4096;

absl::Span<std::byte> Bytes(std::string& text) {
  return {reinterpret_cast<std::byte*>(text.data()), text.size()};
}

std::string SmallName(size_t i) {
  return absl::StrCat("model.layers.", i / 1600, ".mlp.experts.", i % 1600, ".gate_proj.weight");
}

std::string Numbers(size_t i, size_t size_bytes) {
  std::string bytes(size_bytes, 0);
  for (size_t k = 0; k < size_bytes; ++k) bytes[k] = static_cast<char>(i * 31 + k * 7 + i / 256);
  return bytes;
}

class BatchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new TestServer;
    std::vector<TestTensor> small;
    for (size_t i = 0; i < kNumSmall; ++i) {
      small.push_back({SmallName(i), Dtype::kU8, {8, 2}, Numbers(i, 16)});
    }
    WriteSafetensors(server_->store().Path("small.safetensors"), small);
    std::vector<TestTensor> pages;
    for (size_t i = 0; i < kNumPages; ++i) {
      pages.push_back({absl::StrCat("t", i), Dtype::kBF16, {2, 1024}, Numbers(i, kPageBytes)});
    }
    WriteSafetensors(server_->store().Path("pages.safetensors"), pages);
    server_->Start();
  }
  static void TearDownTestSuite() { delete server_; }

  static TestServer* server_;
  Client client_ = server_->Connect();
};

TestServer* BatchTest::server_ = nullptr;

TEST_F(BatchTest, ReadsTenThousandPagesWithProgress) {
  std::string memory(kNumPages * kPageBytes, 0);
  std::vector<ReadRequest> requests(kNumPages);
  for (size_t i = 0; i < kNumPages; ++i) {
    requests[i].tensor = absl::StrCat("t", i);
    requests[i].destination = Bytes(memory).subspan(i * kPageBytes, kPageBytes);
  }
  ReadProgress last;
  const auto report = client_.ReadMany("pages", requests, [&](const ReadProgress& progress) {
    EXPECT_GE(progress.bytes, last.bytes);
    EXPECT_GE(progress.requests, last.requests);
    last = progress;
  });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->failures, IsEmpty());
  EXPECT_EQ(report->bytes, memory.size());
  EXPECT_EQ(report->model, "pages");
  EXPECT_EQ(last.bytes, memory.size());
  EXPECT_EQ(last.requests, kNumPages);
  EXPECT_EQ(last.num_requests, kNumPages);
  for (size_t i = 0; i < kNumPages; ++i) {
    ASSERT_EQ(memory.substr(i * kPageBytes, kPageBytes), Numbers(i, kPageBytes)) << i;
  }
}

TEST_F(BatchTest, ReadsAShardOfEachOfDeepSeeksTensors) {
  std::string memory(kNumSmall * 4, 0);
  std::vector<ReadRequest> requests(kNumSmall);
  for (size_t i = 0; i < kNumSmall; ++i) {
    requests[i].tensor = SmallName(i);
    requests[i].slice.dims = {Shard{1, 4}};
    requests[i].destination = Bytes(memory).subspan(i * 4, 4);
  }
  const auto report = client_.ReadMany("small", requests);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->bytes, memory.size());
  for (size_t i = 0; i < kNumSmall; ++i) {
    ASSERT_EQ(memory.substr(i * 4, 4), Numbers(i, 16).substr(4, 4)) << i;
  }
}

TEST_F(BatchTest, PlansPatternsAndNames) {
  const auto plan =
      client_.Plan("small", std::vector<Selection>{{"", "model.layers.{0..9}.mlp.experts.7.*", {}},
                                                   {SmallName(5), "", {{Shard{0, 8}}, {}}}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->size(), 11);
  EXPECT_EQ((*plan)[2].tensor, "model.layers.2.mlp.experts.7.gate_proj.weight");
  EXPECT_EQ((*plan)[2].size_bytes, 16);
  EXPECT_EQ((*plan)[10].selection, 1);
  EXPECT_THAT((*plan)[10].shape, ElementsAre(1, 2));
}

TEST_F(BatchTest, PlansEverything) {
  std::vector<Selection> selections(kNumSmall);
  for (size_t i = 0; i < kNumSmall; ++i) selections[i].tensor = SmallName(i);
  const auto plan = client_.Plan("small", selections);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->size(), kNumSmall);
  for (size_t i = 0; i < kNumSmall; ++i) ASSERT_EQ((*plan)[i].selection, i);
}

TEST_F(BatchTest, ReadsRangesPitchesAndDuplicates) {
  std::string part(5, '.');
  std::string pitched(2 * 4096, '.');
  std::string whole(kPageBytes, '.');
  std::string again(kPageBytes, '.');
  std::string rest(96, '.');
  const std::vector<ReadRequest> requests = {{"t3", {}, ByteRange{10, 5}, Bytes(part)},
                                             {"t4", {}, {}, Destination(Bytes(pitched), {4096, 2})},
                                             {"t3", {}, {}, Bytes(whole)},
                                             {"t3", {}, {}, Bytes(again)},
                                             {"t9", {}, ByteRange{4000, {}}, Bytes(rest)}};
  const auto report = client_.ReadMany("pages", requests);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(part, Numbers(3, kPageBytes).substr(10, 5));
  EXPECT_EQ(pitched, Numbers(4, kPageBytes).substr(0, 2048) + std::string(2048, '.') +
                         Numbers(4, kPageBytes).substr(2048) + std::string(2048, '.'));
  EXPECT_EQ(whole, Numbers(3, kPageBytes));
  EXPECT_EQ(again, whole);
  EXPECT_EQ(rest, Numbers(9, kPageBytes).substr(4000));
}

TEST_F(BatchTest, NoRequestsAreNoWork) {
  const auto report = client_.ReadMany("pages", {});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->bytes, 0);
}

TEST_F(BatchTest, NamesTheRequestThatDoesNotFit) {
  std::string good(kPageBytes, '.');
  std::string small(4, '.');
  const auto report = client_.ReadMany(
      "pages", std::vector<ReadRequest>{{"t0", {}, {}, Bytes(good)}, {"t1", {}, {}, Bytes(small)}});
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(report.status().message()),
              HasSubstr("request 1 (\"t1\"): the destination has 4 bytes, the result 4096"));
  EXPECT_EQ(small, "....");
}

TEST_F(BatchTest, AnUnknownTensorFailsTheCall) {
  std::string memory(kPageBytes, '.');
  const auto report = client_.ReadMany(
      "pages", std::vector<ReadRequest>{{"t0", {}, {}, Bytes(memory)}, {"tx", {}, {}, {}}});
  EXPECT_EQ(ReasonOf(report.status()), ErrorReason::kTensorNotFound);
  EXPECT_EQ(memory, std::string(kPageBytes, '.'));
}

TEST_F(BatchTest, CancelsOnTheWay) {
  std::string memory(kNumPages * kPageBytes, 0);
  std::vector<ReadRequest> requests(kNumPages);
  for (size_t i = 0; i < kNumPages; ++i) {
    requests[i].tensor = absl::StrCat("t", i);
    requests[i].destination = Bytes(memory).subspan(i * kPageBytes, kPageBytes);
  }
  CallOptions call;
  call.cancellation.emplace();
  const auto report = client_.ReadMany(
      "pages", requests, [&](const ReadProgress&) { call.cancellation->Cancel(); }, call);
  EXPECT_EQ(report.status().code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace tensord
