// The callback forms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "tensord/client.h"
#include "tests/client/test_server.h"

namespace tensord {
namespace {

constexpr uint64_t kBigBytes = 24 << 20;

absl::Span<std::byte> Bytes(std::string& text) {
  return {reinterpret_cast<std::byte*>(text.data()), text.size()};
}

class AsyncTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new TestServer;
    WriteSafetensors(server_->store().Path("m.safetensors"),
                     {{"a", Dtype::kU8, {4}, "abcd"},
                      {"big", Dtype::kU8, {kBigBytes}, std::string(kBigBytes, 'x')}});
    server_->Start();
  }
  static void TearDownTestSuite() { delete server_; }

  static TestServer* server_;
};

TestServer* AsyncTest::server_ = nullptr;

// A callback and the future of what it gets.
template <typename T>
class Waiter {
 public:
  auto callback() {
    return [this](T result) { promise_.set_value(std::move(result)); };
  }
  T Get() { return promise_.get_future().get(); }

 private:
  std::promise<T> promise_;
};

TEST_F(AsyncTest, EveryCallHasACallbackForm) {
  const Client client = server_->Connect();
  Waiter<absl::StatusOr<std::vector<ModelInfo>>> models;
  Waiter<absl::StatusOr<TensorList>> tensors;
  Waiter<absl::StatusOr<ModelInfo>> metadata;
  Waiter<absl::StatusOr<TensorInfo>> info;
  Waiter<absl::StatusOr<PeekResult>> peek;
  Waiter<absl::StatusOr<std::vector<PlannedRead>>> plan;
  Waiter<absl::StatusOr<TensorData>> tensor;
  Waiter<absl::StatusOr<TensorData>> slice;
  Waiter<absl::Status> read;
  Waiter<absl::StatusOr<ReadReport>> report;
  Waiter<absl::StatusOr<FileStreamInfo>> file;
  std::string once(4, '.');
  std::string many(4, '.');
  PeekRequest peek_request;
  peek_request.tensor = "a";
  const auto sink = [](const FileStreamInfo&, uint64_t, absl::Span<const std::byte>) {
    return absl::OkStatus();
  };
  client.ListModelsAsync("", {}, models.callback());
  client.ListTensorsAsync("m", {}, {}, tensors.callback());
  client.GetMetadataAsync("m", {}, {}, metadata.callback());
  client.GetTensorInfoAsync("m", "a", {}, info.callback());
  client.PeekTensorAsync("m", peek_request, {}, peek.callback());
  client.PlanAsync("m", {{"a", "", {}}}, {}, plan.callback());
  client.GetTensorAsync("m", "a", {}, tensor.callback());
  client.GetSliceAsync("m", "a", *Slice::Parse("[1:]"), {}, slice.callback());
  client.ReadSliceAsync("m", "a", {}, Bytes(once), {}, read.callback());
  client.ReadManyAsync("m", {{"a", {}, {}, Bytes(many)}}, nullptr, {}, report.callback());
  client.ReadFileAsync("m", "m.safetensors", {}, sink, {}, file.callback());
  EXPECT_EQ(models.Get()->size(), 1);
  EXPECT_EQ(tensors.Get()->tensors.size(), 2);
  EXPECT_EQ(metadata.Get()->files.size(), 1);
  EXPECT_EQ(info.Get()->size_bytes, 4);
  EXPECT_EQ(peek.Get()->num_values, 4);
  EXPECT_EQ(plan.Get()->size(), 1);
  EXPECT_EQ(tensor.Get()->bytes().size(), 4);
  EXPECT_EQ(slice.Get()->bytes().size(), 3);
  EXPECT_TRUE(read.Get().ok());
  EXPECT_EQ(once, "abcd");
  EXPECT_EQ(report.Get()->bytes, 4);
  EXPECT_EQ(many, "abcd");
  EXPECT_EQ(file.Get()->file, "m.safetensors");
}

TEST_F(AsyncTest, ManyCallsOnFewThreadsAllEnd) {
  constexpr int kCalls = 200;
  ClientOptions options;
  options.num_async_threads = 2;
  std::atomic<int> num_ok = 0;
  {
    std::promise<void> all;
    std::atomic<int> num_done = 0;
    const Client client = server_->Connect(options);
    for (int i = 0; i < kCalls; ++i) {
      client.GetTensorAsync("m", "a", {}, [&](const absl::StatusOr<TensorData>& data) {
        if (data.ok()) ++num_ok;
        if (++num_done == kCalls) all.set_value();
      });
    }
    all.get_future().wait();
  }
  EXPECT_EQ(num_ok, kCalls);
}

TEST_F(AsyncTest, DestroyingTheClientCancelsAndWaits) {
  ClientOptions options;
  options.num_async_threads = 1;
  std::atomic<int> num_done = 0;
  std::promise<void> streaming;
  std::promise<void> go_on;
  std::shared_future<void> gone_on = go_on.get_future().share();
  absl::Status first;
  absl::Status second;
  {
    const Client client = server_->Connect(options);
    bool told = false;
    client.ReadFileAsync(
        "m", "m.safetensors", {},
        [&, gone_on](const FileStreamInfo&, uint64_t, absl::Span<const std::byte>) {
          if (!told) streaming.set_value();
          told = true;
          gone_on.wait();
          return absl::OkStatus();
        },
        {}, [&](const absl::StatusOr<FileStreamInfo>& file) { first = file.status(), ++num_done; });
    client.GetTensorAsync("m", "a", {}, [&](const absl::StatusOr<TensorData>& data) {
      second = data.status(), ++num_done;
    });
    streaming.get_future().wait();
    // The stream goes on only when the destructor below may have begun; either order must end.
    go_on.set_value();
  }
  EXPECT_EQ(num_done, 2);
  EXPECT_TRUE(second.ok() || second.code() == absl::StatusCode::kCancelled) << second;
}

TEST_F(AsyncTest, ACallbackMayStartTheNextCall) {
  const Client client = server_->Connect();
  Waiter<absl::StatusOr<TensorData>> last;
  client.ListModelsAsync("", {}, [&](const absl::StatusOr<std::vector<ModelInfo>>& models) {
    client.GetTensorAsync(models->front().id, "a", {}, last.callback());
  });
  EXPECT_EQ(last.Get()->bytes().size(), 4);
}

TEST_F(AsyncTest, TheDeadlineCountsFromTheCall) {
  const Client client = server_->Connect();
  CallOptions call;
  call.deadline = absl::Now() - absl::Seconds(1);
  Waiter<absl::StatusOr<TensorData>> waiter;
  client.GetTensorAsync("m", "a", call, waiter.callback());
  EXPECT_EQ(waiter.Get().status().code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace tensord
