// Any bytes as a request, sent to a live server: each of the eight calls ends, in time, with an
// answer that keeps the proto's rules or an error that bears a reason. The first byte chooses the
// call.
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "proto/convert.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"
#include "tests/testing/test_server.h"

namespace tensord {
namespace {

constexpr const char* kMethods[] = {"ListModels", "ListTensors", "GetMetadata", "PeekTensor",
                                    "GetTensor",  "GetSlice",    "GetTensors",  "ReadFile"};
constexpr size_t kNumMethods = sizeof(kMethods) / sizeof(kMethods[0]);
constexpr size_t kFirstTensorStream = 4;
constexpr size_t kReadFile = 7;
constexpr size_t kMostMessageBytes = size_t{4} << 20;
constexpr std::chrono::seconds kDeadline{20};  // Far above what these small tensors take.

void Check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "broken: " << what << "\n";
  std::abort();
}

// A server over one small model and one broken file, and a channel to it. Lives as long as the
// process.
class Live {
 public:
  Live() {
    google::protobuf::SetLogHandler(nullptr);  // It would write of each text that is not UTF-8.
    WriteSafetensors(dir_.Path("m/model.safetensors"),
                     {{"a", Dtype::kF32, {4, 5}, ""},
                      {"b", Dtype::kF4, {16, 9}, ""},
                      {"c.2", Dtype::kC64, {0, 3}, ""},
                      {"c.10", Dtype::kF6E2M3, {8}, ""}},
                     std::map<std::string, std::string>{{"k", "\u6f22"}, {"l", ""}});
    WriteBytes(dir_.Path("m/config.json"), "{}");
    WriteBytes(dir_.Path("bad.safetensors"), "bad");
    server_ = std::make_unique<TestServer>(dir_.path());
    stub_ = std::make_unique<grpc::GenericStub>(grpc::CreateChannel(
        server_->server().addresses().front(), grpc::InsecureChannelCredentials()));
  }

  // Sends `request`; `take` gets each message of the answer.
  template <typename Take>
  grpc::Status Call(const std::string& method, const std::string& request, Take take) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    const auto call = stub_->PrepareCall(&context, "/tensord.v1.TensorStore/" + method, &queue_);
    call->StartCall(nullptr);
    Wait();
    const grpc::Slice slice(request);
    call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
    Wait();
    grpc::ByteBuffer message;
    for (call->Read(&message, nullptr); Wait(); call->Read(&message, nullptr)) {
      grpc::Slice whole;
      Check(message.DumpToSingleSlice(&whole).ok(), "a message is readable");
      take(std::string(reinterpret_cast<const char*>(whole.begin()), whole.size()));
    }
    grpc::Status status;
    call->Finish(&status, nullptr);
    Wait();
    return status;
  }

 private:
  bool Wait() {
    void* tag = nullptr;
    bool ok = false;
    Check(queue_.Next(&tag, &ok), "the queue lives");
    return ok;
  }

  TempDir dir_;
  std::unique_ptr<TestServer> server_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericStub> stub_;
};

// Adds up what a stream carries.
class Answer {
 public:
  explicit Answer(size_t method) : method_(method) {}

  void Take(const std::string& bytes) {
    Check(bytes.size() <= kMostMessageBytes, "a message has the size that clients take");
    ++num_messages_;
    if (method_ < kFirstTensorStream) return;
    if (method_ == kReadFile) {
      Add<v1::FileChunk>(bytes, [](const v1::FileChunk& chunk) { return chunk.data().size(); });
    } else {
      Add<v1::TensorChunk>(bytes, [](const v1::TensorChunk& chunk) {
        size_t size = 0;
        for (const v1::TensorPart& part : chunk.parts()) size += part.data().size();
        return size;
      });
    }
  }

  void CheckComplete() const {
    Check(num_messages_ > 0, "OK has an answer");
    if (method_ < kFirstTensorStream) Check(num_messages_ == 1, "a unary call answers once");
    // Of a file, size_bytes is the whole file's, of which a range may be sent.
    if (method_ == kReadFile) Check(num_bytes_ <= size_bytes_, "no more bytes than the file has");
  }

 private:
  template <typename Chunk, typename Size>
  void Add(const std::string& bytes, Size size) {
    Chunk chunk;
    Check(chunk.ParseFromString(bytes), "a message can be read");
    Check(chunk.has_info() == (num_messages_ == 1), "the first message and no other has info");
    if (chunk.has_info()) size_bytes_ = chunk.info().size_bytes();
    num_bytes_ += size(chunk);
  }

  const size_t method_;
  size_t num_messages_ = 0;
  uint64_t size_bytes_ = 0;
  uint64_t num_bytes_ = 0;
};

}  // namespace
}  // namespace tensord

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tensord;  // NOLINT(google-build-using-namespace): the entry point is C.
  static Live* const live = new Live();
  if (size == 0) return 0;
  const size_t method = data[0] % kNumMethods;
  Answer answer(method);
  const grpc::Status status =
      live->Call(kMethods[method], std::string(reinterpret_cast<const char*>(data) + 1, size - 1),
                 [&](const std::string& message) { answer.Take(message); });
  if (status.ok()) {
    answer.CheckComplete();
  } else {
    Check(ReasonOf(FromGrpc(status)) != ErrorReason::kUnspecified, "an error has a reason");
  }
  return 0;
}
