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

// A connection of its own, with small windows: a stream that is not read stalls at once, and not
// after the many MiB to which gRPC lets them grow.
std::unique_ptr<v1::TensorStore::Stub> Dial(const Server& server) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 << 10);
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
    server_ = std::make_unique<TestServer>(dir_.Path("store"), options_, mode_);
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

  // `count` halves of a matrix of 4 MiB, 2 MiB each, that have to be copied.
  static v1::GetTensorsRequest Gathered(int count) { return Sliced("m", "g", "[:, :2048]", count); }

  void WriteHeavy() {
    WriteSafetensors(dir_.Path("store/heavy.safetensors"), {{"h", Dtype::kU8, {16384, 4096}, ""}});
  }
  // After WriteHeavy: `count` times 16384 bytes, each in a page of its own.
  static v1::GetTensorsRequest OneByteRuns(int count) {
    return Sliced("heavy", "h", "[:, 7]", count);
  }

  static v1::GetTensorsRequest Sliced(const char* model, const char* tensor, const char* slice,
                                      int count) {
    v1::GetTensorsRequest request;
    request.set_model(model);
    for (int i = 0; i < count; ++i) {
      v1::Selection* const selection = request.add_selections();
      selection->set_tensor(tensor);
      selection->set_slice(slice);
    }
    return request;
  }

  // Waits until the server runs this many.
  void AwaitStreams(size_t count) {
    while (server_->server().num_streams() != count) std::this_thread::sleep_for(milliseconds(1));
  }

  TempDir dir_;
  ServerOptions options_;
  ReadMode mode_ = ReadMode::kMmap;
  std::unique_ptr<TestServer> server_;
};

TEST_F(LoadTest, StalledStreamEndsAborted) {
  options_.stall_timeout = milliseconds(1000);
  Start();
  const auto stub = Dial();
  Stream stalled(*stub, Mapped(1000));
  ASSERT_TRUE(stalled.Read());
  AwaitStreams(0);  // All of it is freed although nobody has read its end.
  const grpc::Status raw = stalled.FinishRaw();
  EXPECT_EQ(raw.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(raw.error_message(), "STALLED: the client took nothing for 1000 ms");
  EXPECT_EQ(ReasonOf(FromGrpc(raw)), ErrorReason::kStalled);
  // The connection lives.
  Stream next(*stub, Mapped(1));
  EXPECT_EQ(next.Finish(), absl::OkStatus());
}

TEST_F(LoadTest, SlowStreamThatProceedsIsNotStalled) {
  // Less than all the reads take together, and far more than one of them on a busy machine.
  options_.stall_timeout = milliseconds(2000);
  Start();
  Stream slow(*Dial(), Mapped(30));
  while (slow.Read()) std::this_thread::sleep_for(milliseconds(100));
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

TEST_F(LoadTest, StalledGatheredStreamsShareTheBudget) {
  options_.buffer_memory_bytes = 4 << 20;
  Start();
  std::vector<std::unique_ptr<v1::TensorStore::Stub>> stubs;
  std::vector<std::unique_ptr<Stream>> running;
  size_t num_refused = 0;
  for (int connection = 0; connection < 4; ++connection) {
    stubs.push_back(Dial());
    for (int i = 0; i < 16; ++i) {
      auto stream = std::make_unique<Stream>(*stubs.back(), Gathered(100));
      if (stream->Read()) {
        running.push_back(std::move(stream));
        continue;
      }
      ++num_refused;
      const absl::Status status = stream->Finish();
      EXPECT_EQ(ReasonOf(status), ErrorReason::kOutOfBuffers) << status;
      EXPECT_EQ(RetryDelay(status), milliseconds(1000));
      EXPECT_EQ(stream->Trailer("grpc-retry-pushback-ms"), "1000");
    }
    EXPECT_LE(server_->server().buffer_bytes(), options_.buffer_memory_bytes);
  }
  EXPECT_GE(running.size(), 16u);
  EXPECT_GT(num_refused, 0u);
  // What needs no buffers is served.
  Stream mapped(*stubs[0], Mapped(3));
  EXPECT_EQ(mapped.Finish(), absl::OkStatus());
  // Waiting or not, all end, and everything comes back.
  for (const auto& stream : running) stream->Cancel();
  AwaitStreams(0);
  while (server_->server().buffer_bytes() > 0) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(server_->server().num_waiting_streams(), 0u);
  Stream next(*stubs[0], Gathered(2));
  EXPECT_EQ(next.Finish(), absl::OkStatus());
}

TEST_F(LoadTest, StalledStreamsOfFilesThatAreReadShareTheBudget) {
  options_.buffer_memory_bytes = 4 << 20;
  options_.stall_timeout = milliseconds(5000);  // Somebody's first message waits until then.
  mode_ = ReadMode::kPread;
  Start();
  std::vector<std::unique_ptr<v1::TensorStore::Stub>> stubs;
  std::vector<std::unique_ptr<Stream>> running;
  for (int connection = 0; connection < 4; ++connection) {
    stubs.push_back(Dial());
    for (int i = 0; i < 16; ++i) {
      auto stream =
          std::make_unique<Stream>(*stubs.back(), i % 2 == 0 ? Mapped(100) : Gathered(100));
      if (stream->Read()) {
        running.push_back(std::move(stream));
      } else {
        EXPECT_EQ(ReasonOf(stream->Finish()), ErrorReason::kOutOfBuffers);
      }
    }
    EXPECT_LE(server_->server().buffer_bytes(), options_.buffer_memory_bytes);
  }
  EXPECT_GE(running.size(), 10u);
  for (const auto& stream : running) stream->Cancel();
  AwaitStreams(0);
  while (server_->server().buffer_bytes() > 0) std::this_thread::yield();
  EXPECT_EQ(server_->server().num_waiting_streams(), 0u);
  Stream next(*stubs[0], Gathered(2));
  EXPECT_EQ(next.Finish(), absl::OkStatus());
}

TEST_F(LoadTest, StreamsThatWaitForMemoryGoOnWhenStalledOnesEnd) {
  options_.buffer_memory_bytes = 4 << 20;
  options_.stall_timeout = milliseconds(1000);
  Start();
  std::vector<std::unique_ptr<v1::TensorStore::Stub>> stubs;
  std::vector<std::unique_ptr<Stream>> stalled;
  for (int i = 0; i < 24; ++i) {
    stubs.push_back(Dial());
    stalled.push_back(std::make_unique<Stream>(*stubs.back(), Gathered(100)));
  }
  // Begins, or is refused until the others have been ended; then it is served to its end.
  const auto stub = Dial();
  absl::Status status;
  do {
    status = Stream(*stub, Gathered(20)).Finish();
  } while (ReasonOf(status) == ErrorReason::kOutOfBuffers);
  EXPECT_EQ(status, absl::OkStatus());
}

TEST_F(LoadTest, MessageTouchesABoundedPartOfAFile) {
  WriteHeavy();
  Start();
  grpc::ClientContext context;
  const ReceivedStream got = Receive(context, server_->stub().GetTensors(&context, OneByteRuns(1)));
  EXPECT_EQ(got.status, absl::OkStatus());
  EXPECT_EQ(got.bytes_sent, 16384u);
  // 64 MiB of pages for 16 KiB, at most 16 MiB a message.
  EXPECT_GE(got.num_messages, 4u);
  EXPECT_LE(got.num_messages, 6u);
}

// A stream that reads what comes and counts it, until it is cancelled.
class Reader : public grpc::ClientReadReactor<v1::TensorChunk> {
 public:
  Reader(v1::TensorStore::Stub& stub, v1::GetTensorsRequest request, std::atomic<int>& num_read)
      : request_(std::move(request)), num_read_(num_read) {
    stub.async()->GetTensors(&context_, &request_, this);
    StartRead(&chunk_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }
  void AwaitEnd() { ended_.get_future().wait(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    ++num_read_;
    StartRead(&chunk_);
  }
  void OnDone(const grpc::Status&) override { ended_.set_value(); }

 private:
  grpc::ClientContext context_;
  const v1::GetTensorsRequest request_;
  v1::TensorChunk chunk_;
  std::atomic<int>& num_read_;
  std::promise<void> ended_;
};

TEST_F(LoadTest, HonestReaderTakesTurnsWithAPeerOfManyHeavyStreams) {
  constexpr int kHeavyStreams = 120;
  WriteHeavy();
  Start();
  const auto heavy_stub = Dial();
  std::atomic<int> num_heavy{0};
  std::vector<std::unique_ptr<Reader>> heavy;
  for (int i = 0; i < kHeavyStreams; ++i) {
    heavy.push_back(std::make_unique<Reader>(*heavy_stub, OneByteRuns(2000), num_heavy));
  }
  while (num_heavy < 2 * kHeavyStreams) std::this_thread::sleep_for(milliseconds(1));
  Stream honest(*Dial(), Gathered(1000));
  ASSERT_TRUE(honest.Read());
  const int before = num_heavy;
  constexpr int kHonestMessages = 50;
  for (int i = 0; i < kHonestMessages; ++i) ASSERT_TRUE(honest.Read());
  const int meanwhile = num_heavy - before;
  // One each would be fair, while the honest one waits for its turn. By stream it would be 120; the
  // margin is for what happens while its messages are under way.
  EXPECT_LE(meanwhile, kHonestMessages * kHeavyStreams / 2);
  for (const auto& reader : heavy) reader->Cancel();
  for (const auto& reader : heavy) reader->AwaitEnd();
  honest.Cancel();
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
  // Counted only when nothing is held any more: the last user of a channel must not be one of
  // gRPC's own threads, because with the channel end those threads, and each would wait for itself.
  void OnDone(const grpc::Status& status) override {
    Tally& tally = tally_;
    const grpc::Status ended = status;
    delete this;
    tally.Add(ended);
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
