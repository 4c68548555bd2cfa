// What the client asks for again, against a server that fails on cue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "src/error.h"
#include "tensord/client.h"
#include "tests/testing/scripted_server.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::Span<std::byte> Bytes(std::string& text) {
  return {reinterpret_cast<std::byte*>(text.data()), text.size()};
}

class ScriptedTest : public ::testing::Test {
 protected:
  Client Connect() {
    ClientOptions options;
    options.first_backoff = absl::Milliseconds(1);
    auto client = Client::Connect(server_.address(), options);
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }

  // Three tensors of 4 bytes each, and what has become of them.
  absl::StatusOr<ReadReport> ReadThree() {
    return Connect().ReadMany(
        "m", std::vector<ReadRequest>{
                 {"a", {}, {}, Bytes(a_)}, {"b", {}, {}, Bytes(b_)}, {"c", {}, {}, Bytes(c_)}});
  }

  static std::vector<std::string> Names(const v1::GetTensorsRequest& request) {
    std::vector<std::string> names;
    for (const auto& selection : request.selections()) names.push_back(selection.tensor());
    return names;
  }

  static void AddError(v1::TensorChunk& chunk, uint32_t result) {
    v1::TensorPart& part = *chunk.add_parts();
    part.set_result(result);
    part.mutable_error()->set_code(15);
    part.mutable_error()->set_reason(v1::FILE_CHANGED);
    part.mutable_error()->set_message("shard 2 was truncated");
  }

  ScriptedServer server_;
  std::string a_ = "....", b_ = "....", c_ = "....";
};

TEST_F(ScriptedTest, AFailedFileFailsItsRequestsAndTheOthersAreConfirmed) {
  server_.get_tensors = [](size_t call, const v1::GetTensorsRequest& request,
                           ScriptedServer::Chunks& writer) -> absl::Status {
    if (call == 0) {
      EXPECT_THAT(Names(request), ElementsAre("a", "b", "c"));
      v1::TensorChunk chunk = StreamBegin("v1", 3, 12);
      AddResult(chunk, 0, "a", 4, 0, "aaaa");
      AddResult(chunk, 1, "b", 4, 0, "bb");
      AddError(chunk, 1);
      writer.Write(chunk);
      return MakeError(ErrorReason::kFileChanged, "shard 2 was truncated");
    }
    EXPECT_EQ(call, 1);
    EXPECT_EQ(request.version(), "v1");
    EXPECT_THAT(Names(request), ElementsAre("c"));
    v1::TensorChunk chunk = StreamBegin("v1", 1, 4);
    AddResult(chunk, 0, "c", 4, 0, "cccc");
    writer.Write(chunk);
    return absl::OkStatus();
  };
  const auto report = ReadThree();
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->failures.size(), 1);
  EXPECT_EQ(report->failures[0].request, 1);
  EXPECT_EQ(ReasonOf(report->failures[0].status), ErrorReason::kFileChanged);
  EXPECT_EQ(a_ + c_, "aaaacccc");
  EXPECT_EQ(report->bytes, 8);
  EXPECT_EQ(report->version, "v1");
}

TEST_F(ScriptedTest, WhatStandsBesideAFailureIsConfirmedEvenWhereNothingIsMissing) {
  server_.get_tensors = [](size_t call, const v1::GetTensorsRequest& request,
                           ScriptedServer::Chunks& writer) -> absl::Status {
    if (call == 0) {
      v1::TensorChunk chunk = StreamBegin("v1", 3, 12);
      AddResult(chunk, 0, "a", 4, 0, "aaaa");
      AddResult(chunk, 1, "b", 4, 0, "bbbb");
      AddResult(chunk, 2, "c", 4, 0, "cccc");
      AddError(chunk, 2);  // Known only after the last byte.
      writer.Write(chunk);
      return MakeError(ErrorReason::kFileChanged, "shard 2 was truncated");
    }
    EXPECT_THAT(Names(request), ElementsAre("b"));
    EXPECT_EQ(request.selections(0).range().offset(), 4);
    EXPECT_EQ(request.version(), "v1");
    v1::TensorChunk chunk = StreamBegin("v1", 1, 0);
    AddResult(chunk, 0, "b", 4, 4, "");
    writer.Write(chunk);
    return absl::OkStatus();
  };
  const auto report = ReadThree();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->failures.size(), 1);
  EXPECT_EQ(report->bytes, 8);
  EXPECT_EQ(server_.num_calls(), 2);
}

TEST_F(ScriptedTest, BytesWithoutAFinalOkAreConfirmed) {
  server_.get_tensor = [](size_t call, const v1::GetTensorRequest& request,
                          ScriptedServer::Chunks& writer) -> absl::Status {
    v1::TensorChunk chunk = StreamBegin("v1", 1, call == 0 ? 4 : 0);
    AddResult(chunk, 0, "a", 4, call == 0 ? 0 : 4, call == 0 ? "aaaa" : "");
    writer.Write(chunk);
    if (call == 0) return absl::UnavailableError("just before the end");
    EXPECT_EQ(request.version(), "v1");
    EXPECT_EQ(request.range().offset(), 4);
    return absl::OkStatus();
  };
  const auto data = Connect().GetTensor("m", "a");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(server_.num_calls(), 2);
}

TEST_F(ScriptedTest, WhatTheServerCancelledGoesOn) {
  server_.get_tensor = [](size_t call, const v1::GetTensorRequest&,
                          ScriptedServer::Chunks& writer) -> absl::Status {
    v1::TensorChunk chunk = StreamBegin("v1", 1, call == 0 ? 4 : 1);
    AddResult(chunk, 0, "a", 4, call == 0 ? 0 : 3, call == 0 ? "aaa" : "b");
    writer.Write(chunk);
    return call == 0 ? absl::CancelledError("") : absl::OkStatus();
  };
  const auto data = Connect().GetTensor("m", "a");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(server_.num_calls(), 2);
}

TEST_F(ScriptedTest, ThreeBytesOfAResumedResultMustBeOfTheSameShape) {
  server_.get_tensor = [](size_t call, const v1::GetTensorRequest&,
                          ScriptedServer::Chunks& writer) -> absl::Status {
    v1::TensorChunk chunk = StreamBegin("v1", 1, 4);
    AddResult(chunk, 0, "a", call == 0 ? 4 : 8, call == 0 ? 0 : 3, call == 0 ? "aaa" : "aaaaa");
    writer.Write(chunk);
    return call == 0 ? absl::UnavailableError("cut") : absl::OkStatus();
  };
  const absl::Status status = Connect().GetTensor("m", "a").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another dtype or shape"));
}

TEST_F(ScriptedTest, AServerThatSendsAnotherVersionOnResumeIsDistrusted) {
  server_.get_tensor = [](size_t call, const v1::GetTensorRequest&,
                          ScriptedServer::Chunks& writer) -> absl::Status {
    v1::TensorChunk chunk = StreamBegin(call == 0 ? "v1" : "v2", 1, 4);
    AddResult(chunk, 0, "a", 4, call == 0 ? 0 : 3, call == 0 ? "aaa" : "b");
    writer.Write(chunk);
    return call == 0 ? absl::UnavailableError("cut") : absl::OkStatus();
  };
  const absl::Status status = Connect().GetTensor("m", "a").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("sends version \"v2\""));
}

TEST_F(ScriptedTest, PushbackInTheTrailersIsObeyed) {
  server_.list = [](size_t call, grpc::ServerContext& context, v1::ListModelsResponse&) {
    if (call > 0) return absl::OkStatus();
    context.AddTrailingMetadata("grpc-retry-pushback-ms", "40");
    return absl::ResourceExhaustedError("a proxy is busy");
  };
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(Connect().ListModels().ok());
  EXPECT_EQ(server_.num_calls(), 2);
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(40));
}

TEST_F(ScriptedTest, AnErrorThatStaysIsAskedOnce) {
  server_.list = [](size_t, grpc::ServerContext&, v1::ListModelsResponse&) {
    return absl::DataLossError("broken");
  };
  EXPECT_EQ(Connect().ListModels().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(server_.num_calls(), 1);
}

TEST_F(ScriptedTest, ADeadlineEndsTheRetries) {
  server_.list = [](size_t, grpc::ServerContext&, v1::ListModelsResponse&) {
    return MakeError(ErrorReason::kStarting, "scanning", {{"retry_ms", "10"}});
  };
  CallOptions call;
  call.deadline = absl::Now() + absl::Milliseconds(200);
  const absl::Status status = Connect().ListModels("", call).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_GT(server_.num_calls(), 1);
}

}  // namespace
}  // namespace tensord
