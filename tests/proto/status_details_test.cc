#include "proto/status_details.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "absl/strings/escaping.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "src/error.h"
#include "src/utf8.h"

namespace tensord {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::SizeIs;

// protobuf's own reading of what we wrote.
google::rpc::Status Decode(const grpc::Status& status) {
  google::rpc::Status decoded;
  EXPECT_TRUE(decoded.ParseFromString(status.error_details()));
  return decoded;
}

google::rpc::Status Canonical(int code, const google::protobuf::Message& detail) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message("full");
  status.add_details()->PackFrom(detail);
  return status;
}

absl::Status FromWire(grpc::StatusCode code, const google::rpc::Status& details) {
  return FromGrpc(grpc::Status(code, "full", details.SerializeAsString()));
}

// What gRPC makes of it in HTTP/2 headers.
size_t TrailerBytes(const grpc::Status& status) {
  size_t size = absl::Base64Escape(status.error_details()).size();
  for (const char c : status.error_message()) size += c >= 0x20 && c < 0x7f && c != '%' ? 1 : 3;
  return size + std::string("grpc-messagegrpc-status-details-bin").size();
}

TEST(StatusDetails, OkStaysOk) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status(grpc::StatusCode::OK, "", "garbage")).ok());
}

TEST(StatusDetails, BareMessageCarriesTheReason) {
  const absl::Status stalled = MakeError(ErrorReason::kStalled, "nothing: for 5 ms");
  EXPECT_EQ(BareMessage(stalled), "STALLED: nothing: for 5 ms");
  EXPECT_EQ(BareMessage(absl::AbortedError("x")), "x");
  const auto read = [](grpc::StatusCode code, const std::string& message) {
    return FromGrpc(grpc::Status(code, message));
  };
  EXPECT_EQ(read(grpc::StatusCode::ABORTED, BareMessage(stalled)), stalled);
  // No reason of ours, or not this code's.
  EXPECT_EQ(read(grpc::StatusCode::ABORTED, "ODD: x"), absl::AbortedError("ODD: x"));
  EXPECT_EQ(read(grpc::StatusCode::UNAVAILABLE, "STALLED: x"),
            absl::UnavailableError("STALLED: x"));
  EXPECT_EQ(read(grpc::StatusCode::ABORTED, "STALLED"), absl::AbortedError("STALLED"));
}

TEST(StatusDetails, ProtobufReadsWhatIsWritten) {
  const grpc::Status status = ToGrpc(
      MakeError(ErrorReason::kFileInvalid, "bad \"x\"", {{"variant", "InvalidOffset"}, {"n", ""}}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  const google::rpc::Status decoded = Decode(status);
  EXPECT_EQ(decoded.code(), 9);
  EXPECT_EQ(decoded.message(), "bad \"x\"");
  ASSERT_THAT(decoded.details(), SizeIs(1));
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(decoded.details(0).UnpackTo(&info));
  EXPECT_EQ(info.domain(), "tensord");
  EXPECT_EQ(info.reason(), "FILE_INVALID");
  ASSERT_THAT(info.metadata(), SizeIs(2));
  EXPECT_EQ(info.metadata().at("variant"), "InvalidOffset");
  EXPECT_EQ(info.metadata().at("n"), "");
}

TEST(StatusDetails, ErrorsWithoutReasonHaveNoDetails) {
  const grpc::Status status = ToGrpc(absl::InternalError("oops"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message(), "oops");
  EXPECT_EQ(status.error_details(), "");
}

TEST(StatusDetails, RetryHintBecomesRetryInfo) {
  const grpc::Status status =
      ToGrpc(MakeError(ErrorReason::kOutOfBuffers, "full", {{kRetryDetail, "2250"}}));
  const google::rpc::Status decoded = Decode(status);
  ASSERT_THAT(decoded.details(), SizeIs(2));
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(decoded.details(0).UnpackTo(&info));
  ASSERT_TRUE(decoded.details(1).UnpackTo(&retry));
  EXPECT_THAT(info.metadata(), SizeIs(0));
  EXPECT_EQ(retry.retry_delay().seconds(), 2);
  EXPECT_EQ(retry.retry_delay().nanos(), 250'000'000);
  EXPECT_EQ(RetryDelay(FromGrpc(status)), milliseconds(2250));
}

TEST(StatusDetails, RetryHintThatIsNoNumberIsNotSent) {
  const grpc::Status status =
      ToGrpc(MakeError(ErrorReason::kOutOfBuffers, "full", {{kRetryDetail, "soon"}}));
  EXPECT_THAT(Decode(status).details(), SizeIs(1));
}

TEST(StatusDetails, EveryReasonComesBack) {
  for (int i = 1; i < kNumErrorReasons; ++i) {
    const absl::Status sent =
        MakeError(static_cast<ErrorReason>(i), "why", {{"key", "value"}, {kRetryDetail, "7"}});
    const absl::Status got = FromGrpc(ToGrpc(sent));
    EXPECT_EQ(got.code(), sent.code());
    EXPECT_EQ(got.message(), "why");
    EXPECT_EQ(ReasonOf(got), static_cast<ErrorReason>(i));
    EXPECT_EQ(ErrorDetails(got), ErrorDetails(sent));
  }
}

TEST(StatusDetails, EveryCodeComesBack) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status sent(static_cast<absl::StatusCode>(code), "why");
    EXPECT_EQ(FromGrpc(ToGrpc(sent)), sent) << code;
  }
  EXPECT_EQ(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(17), "x")).code(),
            absl::StatusCode::kUnknown);
  EXPECT_EQ(FromGrpc(grpc::Status(grpc::StatusCode::DO_NOT_USE, "x")).code(),
            absl::StatusCode::kUnknown);
}

struct LongText {
  std::string name;
  std::string unit;  // One character.
};

class LongMessage : public testing::TestWithParam<LongText> {};

TEST_P(LongMessage, IsCutBelowFourKibAtACharacter) {
  std::string text;
  std::map<std::string, std::string> details = {{kRetryDetail, "86400000"}};
  for (int i = 0; i < 20'000; ++i) text += GetParam().unit;
  for (int i = 0; i < 50; ++i) details["key" + std::to_string(i) + text] = text;
  const grpc::Status status = ToGrpc(MakeError(ErrorReason::kAmbiguousModel, text, details));
  EXPECT_LT(TrailerBytes(status), 4096u);
  EXPECT_GT(TrailerBytes(status), 1024u);
  EXPECT_TRUE(IsValidUtf8(status.error_message()));
  EXPECT_THAT(status.error_message(), testing::EndsWith("..."));
  EXPECT_THAT(Decode(status).details(), SizeIs(2));
  EXPECT_EQ(ReasonOf(FromGrpc(status)), ErrorReason::kAmbiguousModel);
}

INSTANTIATE_TEST_SUITE_P(Rows, LongMessage,
                         testing::Values(LongText{"ascii", "x"}, LongText{"percent", "%"},
                                         LongText{"control", "\n"}, LongText{"two", "\u00e4"},
                                         LongText{"three", "\u6f22"},
                                         LongText{"four", "\U0001f600"},
                                         LongText{"invalid", "\xff"}),
                         [](const auto& row) { return row.param.name; });

TEST(StatusDetails, MessageThatFitsIsNotCut) {
  const std::string text(1024, 'x');
  EXPECT_EQ(ToGrpc(absl::InternalError(text)).error_message(), text);
  EXPECT_EQ(ToGrpc(absl::InternalError(text + "x")).error_message(),
            std::string(1021, 'x') + "...");
}

TEST(StatusDetails, BytesThatAreNotUtf8AreEscaped) {
  EXPECT_EQ(ToGrpc(absl::InternalError("a\xff")).error_message(), "a\\xff");
}

TEST(StatusDetails, RetryInfoOfOtherServersIsUnderstood) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(1);
  retry.mutable_retry_delay()->set_nanos(1);
  const absl::Status status = FromWire(grpc::StatusCode::UNAVAILABLE, Canonical(14, retry));
  EXPECT_EQ(RetryDelay(status), milliseconds(1001));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kUnspecified);
  EXPECT_EQ(status.message(), "full");
}

TEST(StatusDetails, AbsurdDelaysAreBoundedOrDropped) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(INT64_MAX);
  EXPECT_EQ(RetryDelay(FromWire(grpc::StatusCode::UNAVAILABLE, Canonical(14, retry))),
            std::chrono::hours(24));
  retry.mutable_retry_delay()->set_seconds(-1);
  EXPECT_EQ(RetryDelay(FromWire(grpc::StatusCode::UNAVAILABLE, Canonical(14, retry))),
            std::nullopt);
  retry.mutable_retry_delay()->set_seconds(0);
  retry.mutable_retry_delay()->set_nanos(-5);
  EXPECT_EQ(RetryDelay(FromWire(grpc::StatusCode::UNAVAILABLE, Canonical(14, retry))),
            std::nullopt);
  retry.mutable_retry_delay()->set_nanos(1'000'000'000);
  EXPECT_EQ(RetryDelay(FromWire(grpc::StatusCode::UNAVAILABLE, Canonical(14, retry))),
            std::nullopt);
}

TEST(StatusDetails, ReasonsOfOtherDomainsAreNotOurs) {
  google::rpc::ErrorInfo info;
  info.set_domain("googleapis.com");
  info.set_reason("STARTING");
  (*info.mutable_metadata())["retry_ms"] = "1";
  const absl::Status status = FromWire(grpc::StatusCode::UNAVAILABLE, Canonical(14, info));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kUnspecified);
  EXPECT_EQ(RetryDelay(status), std::nullopt);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

TEST(StatusDetails, ReasonThatContradictsTheCodeIsDropped) {
  google::rpc::ErrorInfo info;
  info.set_domain("tensord");
  info.set_reason("STARTING");
  const absl::Status status = FromWire(grpc::StatusCode::NOT_FOUND, Canonical(5, info));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kUnspecified);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
}

TEST(StatusDetails, DetailsOfAnotherCodeAreDropped) {
  google::rpc::ErrorInfo info;
  info.set_domain("tensord");
  info.set_reason("STARTING");
  EXPECT_EQ(ReasonOf(FromWire(grpc::StatusCode::UNAVAILABLE, Canonical(5, info))),
            ErrorReason::kUnspecified);
}

TEST(StatusDetails, ReasonsOfNewerServersAreDropped) {
  google::rpc::ErrorInfo info;
  info.set_domain("tensord");
  info.set_reason("WRITTEN_NEXT_YEAR");
  const absl::Status status = FromWire(grpc::StatusCode::ABORTED, Canonical(10, info));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kUnspecified);
  EXPECT_EQ(status.message(), "full");
}

TEST(StatusDetails, MutilatedDetailsLeaveCodeAndMessage) {
  const grpc::Status whole = ToGrpc(
      MakeError(ErrorReason::kOutOfBuffers, "full", {{"variant", "x"}, {kRetryDetail, "1500"}}));
  std::mt19937 random(7);
  for (int i = 0; i < 100'000; ++i) {
    std::string details = whole.error_details();
    const size_t num_changes = 1 + random() % 4;
    for (size_t k = 0; k < num_changes; ++k) {
      details[random() % details.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) details.resize(random() % details.size());
    const absl::Status got = FromGrpc(grpc::Status(whole.error_code(), "full", details));
    ASSERT_EQ(got.code(), absl::StatusCode::kResourceExhausted);
    ASSERT_EQ(got.message(), "full");
  }
}

TEST(StatusDetails, FuturesFieldsAreSkipped) {
  google::rpc::ErrorInfo info;
  info.set_domain("tensord");
  info.set_reason("STALLED");
  info.GetReflection()->MutableUnknownFields(&info)->AddVarint(9, 1);
  info.GetReflection()->MutableUnknownFields(&info)->AddFixed32(10, 1);
  info.GetReflection()->MutableUnknownFields(&info)->AddFixed64(11, 1);
  google::rpc::Status status = Canonical(10, info);
  status.GetReflection()->MutableUnknownFields(&status)->AddLengthDelimited(8, "new");
  EXPECT_EQ(ReasonOf(FromWire(grpc::StatusCode::ABORTED, status)), ErrorReason::kStalled);
}

}  // namespace
}  // namespace tensord
