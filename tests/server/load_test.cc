// What clients that ask for more than their share meet: a real server and clients that do not read.
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/convert.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/received_stream.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/test_server.h"

namespace tensord {
namespace {

using std::chrono::milliseconds;

// A connection of its own.
std::unique_ptr<v1::TensorStore::Stub> Dial(const Server& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::TensorStore::NewStub(grpc::CreateCustomChannel(
      server.addresses().front(), grpc::InsecureChannelCredentials(), arguments));
}

// A stream of which nothing is read until Finish.
class Stream {
 public:
  Stream(v1::TensorStore::Stub& stub, const v1::GetTensorsRequest& request)
      : reader_(stub.GetTensors(&context_, request)) {}

  bool Read() { return reader_->Read(&chunk_); }
  const v1::TensorChunk& chunk() const { return chunk_; }
  void Cancel() { context_.TryCancel(); }

  grpc::Status FinishRaw() {
    while (Read()) {
    }
    return reader_->Finish();
  }
  absl::Status Finish() { return FromGrpc(FinishRaw()); }

  // Of the trailers, after Finish; "" when absent.
  std::string Trailer(const std::string& name) const {
    const auto& trailers = context_.GetServerTrailingMetadata();
    const auto found = trailers.find(name);
    return found == trailers.end() ? "" : std::string(found->second.data(), found->second.size());
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::TensorChunk>> reader_;
  v1::TensorChunk chunk_;
};

class LoadTest : public testing::Test {
 protected:
  LoadTest() {
    WriteSafetensors(dir_.Path("store/m.safetensors"),
                     {{"t", Dtype::kU8, {1 << 20}, ""}, {"g", Dtype::kU8, {1024, 4096}, ""}});
    options_.listen = {"127.0.0.1:0"};
  }

  TestServer& Start() {
    server_ = std::make_unique<TestServer>(dir_.Path("store"), options_);
    return *server_;
  }
  std::unique_ptr<v1::TensorStore::Stub> Dial() { return tensord::Dial(server_->server()); }

  // `count` MiB where they are mapped.
  static v1::GetTensorsRequest Mapped(int count) {
    v1::GetTensorsRequest request;
    request.set_model("m");
    for (int i = 0; i < count; ++i) request.add_selections()->set_tensor("t");
    return request;
  }

  // Waits until the server runs this many.
  void AwaitStreams(size_t count) {
    while (server_->server().num_streams() != count) std::this_thread::yield();
  }

  TempDir dir_;
  ServerOptions options_;
  std::unique_ptr<TestServer> server_;
};

TEST_F(LoadTest, StalledStreamEndsAborted) {
  options_.stall_timeout = milliseconds(300);
  Start();
  const auto stub = Dial();
  Stream stalled(*stub, Mapped(1000));
  ASSERT_TRUE(stalled.Read());
  AwaitStreams(0);  // All of it is freed although nobody has read its end.
  const grpc::Status raw = stalled.FinishRaw();
  EXPECT_EQ(raw.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(raw.error_message(), "STALLED: the client took nothing for 300 ms");
  EXPECT_EQ(ReasonOf(FromGrpc(raw)), ErrorReason::kStalled);
  // The connection lives.
  Stream next(*stub, Mapped(1));
  EXPECT_EQ(next.Finish(), absl::OkStatus());
}

TEST_F(LoadTest, SlowStreamThatProceedsIsNotStalled) {
  options_.stall_timeout = milliseconds(400);
  Start();
  Stream slow(*Dial(), Mapped(30));
  while (slow.Read()) std::this_thread::sleep_for(milliseconds(30));
  EXPECT_EQ(slow.Finish(), absl::OkStatus());
}

TEST_F(LoadTest, EndOfTheGraceSaysDraining) {
  Start();
  Stream stalled(*Dial(), Mapped(1000));
  ASSERT_TRUE(stalled.Read());
  server_->server().Shutdown(milliseconds(50));
  const absl::Status status = stalled.Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kDraining) << status;
}

TEST_F(LoadTest, StreamsBeyondTheLimitAreToldWhenToRetry) {
  options_.max_streams = 4;
  Start();
  std::vector<std::unique_ptr<Stream>> running;
  const auto stub = Dial();
  for (int i = 0; i < 4; ++i) {
    running.push_back(std::make_unique<Stream>(*stub, Mapped(1000)));
    ASSERT_TRUE(running.back()->Read());
  }
  const auto other = Dial();
  for (int i = 0; i < 40; ++i) {
    Stream refused(*other, Mapped(1));
    const absl::Status status = refused.Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(ReasonOf(status), ErrorReason::kTooManyStreams);
    EXPECT_EQ(RetryDelay(status), milliseconds(1000));
    EXPECT_EQ(refused.Trailer("grpc-retry-pushback-ms"), "1000");
  }
  running.pop_back();  // Cancels.
  AwaitStreams(3);
  Stream admitted(*other, Mapped(1));
  EXPECT_EQ(admitted.Finish(), absl::OkStatus());
}

TEST_F(LoadTest, CancelledStreamsAreFreedThoughTheirConnectionLives) {
  Start();
  const auto stub = Dial();
  std::vector<std::unique_ptr<Stream>> running;
  for (int i = 0; i < 100; ++i) {
    running.push_back(std::make_unique<Stream>(*stub, Mapped(1000)));
    ASSERT_TRUE(running.back()->Read());
  }
  EXPECT_EQ(server_->server().num_streams(), 100);
  for (const auto& stream : running) stream->Cancel();
  AwaitStreams(0);
}

// Counts calls that have ended.
class Tally {
 public:
  void Add(const grpc::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
    if (!status.ok()) ++num_failed_;
    if (first_failure_.ok()) first_failure_ = status;
    changed_.notify_all();
  }
  void Await(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return count_ >= count; });
  }
  int num_failed() const { return num_failed_; }
  std::string first_failure() const { return first_failure_.error_message(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
  int num_failed_ = 0;
  grpc::Status first_failure_;
};

// One call of the callback API; deletes itself.
class QueuedCall : public grpc::ClientReadReactor<v1::TensorChunk> {
 public:
  QueuedCall(v1::TensorStore::Stub& stub, Tally& tally) : tally_(tally) {
    request_.set_model("m");
    request_.set_tensor("t");
    request_.mutable_range()->set_length(100'000);
    stub.async()->GetTensor(&context_, &request_, this);
    StartRead(&chunk_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&chunk_);
  }
  void OnDone(const grpc::Status& status) override {
    tally_.Add(status);
    delete this;
  }

 private:
  Tally& tally_;
  grpc::ClientContext context_;
  v1::GetTensorRequest request_;
  v1::TensorChunk chunk_;
};

TEST_F(LoadTest, TenThousandCallsOfOneConnectionWaitAtTheClientAndAreServed) {
  Start();
  const auto stub = Dial();
  // The connection must know the limit before they come.
  Stream first(*stub, Mapped(1));
  ASSERT_EQ(first.Finish(), absl::OkStatus());
  Tally tally;
  for (int i = 0; i < 10'000; ++i) new QueuedCall(*stub, tally);
  tally.Await(10'000);
  EXPECT_EQ(tally.num_failed(), 0) << tally.first_failure();
}

TEST_F(LoadTest, UnparsableUnaryRequestIsABadRequest) {
  Start();
  for (const char* method : {"ListModels", "ListTensors", "GetMetadata", "PeekTensor"}) {
    grpc::GenericStub stub(grpc::CreateChannel(server_->server().addresses().front(),
                                               grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    const grpc::Slice slice("\xff\xff\xff");
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, absl::StrCat("/tensord.v1.TensorStore/", method), {}, &request,
                   &response, [&](grpc::Status status) { done.set_value(std::move(status)); });
    const absl::Status status = FromGrpc(done.get_future().get());
    EXPECT_EQ(ReasonOf(status), ErrorReason::kBadRequest) << method << ": " << status;
  }
}

}  // namespace
}  // namespace tensord
