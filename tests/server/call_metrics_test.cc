#include "server/call_metrics.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "src/error.h"

namespace tensord {
namespace {

using testing::HasSubstr;
using testing::Not;

CallRecord Record(CallMethod method, const std::string& model) {
  CallRecord record;
  record.method = method;
  record.model = model;
  record.model_found = true;
  record.began = std::chrono::steady_clock::now();
  return record;
}

std::string TextOf(const CallMetrics& metrics) {
  MetricText text;
  metrics.AppendTo(text);
  return text.text();
}

TEST(CallMetrics, CountACallFromBeginToEnd) {
  CallMetrics metrics;
  CallRecord record = Record(CallMethod::kGetSlice, "gpt2");
  metrics.CallBegan(record);
  EXPECT_THAT(TextOf(metrics), HasSubstr("tensord_streams_active{method=\"GetSlice\"} 1\n"));
  record.first_byte = record.began + std::chrono::milliseconds(20);
  metrics.BytesSent(record, 100);
  metrics.BytesSent(record, 11);
  metrics.CallEnded(record, absl::OkStatus());
  const std::string text = TextOf(metrics);
  EXPECT_THAT(text, HasSubstr("tensord_rpcs_started_total{method=\"GetSlice\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tensord_rpcs_finished_total{method=\"GetSlice\",code=\"OK\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tensord_streams_active{method=\"GetSlice\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("tensord_sent_bytes_total{method=\"GetSlice\",model=\"gpt2\"} 111\n"));
  EXPECT_THAT(text, HasSubstr("tensord_first_byte_seconds_bucket{method=\"GetSlice\",le=\"0.01\"} "
                              "0\n"));
  EXPECT_THAT(text,
              HasSubstr("tensord_first_byte_seconds_bucket{method=\"GetSlice\",le=\"0.025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tensord_first_byte_seconds_sum{method=\"GetSlice\"} 0.02\n"));
}

TEST(CallMetrics, ReasonsTellRefusalsFromFaults) {
  CallMetrics metrics;
  CallRecord record = Record(CallMethod::kGetTensor, "m");
  metrics.CallEnded(record, MakeError(ErrorReason::kTooManyStreams, "x"));
  record.first_byte = record.began;
  metrics.CallEnded(record, MakeError(ErrorReason::kFileChanged, "x"));
  metrics.CallEnded(record, MakeError(ErrorReason::kStalled, "x"));
  const std::string text = TextOf(metrics);
  EXPECT_THAT(text, HasSubstr("tensord_requests_rejected_total{reason=\"TOO_MANY_STREAMS\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("reason=\"FILE_CHANGED\"")));
  EXPECT_THAT(text, HasSubstr("tensord_stream_stalls_total 1\n"));
  EXPECT_THAT(
      text, HasSubstr("tensord_rpcs_finished_total{method=\"GetTensor\",code=\"DATA_LOSS\"} 1\n"));
}

TEST(CallMetrics, ModelsAreNotNamedWhereTheirNamesAreSecret) {
  CallMetrics metrics(/*names_models=*/false);
  metrics.BytesSent(Record(CallMethod::kGetTensor, "secret"), 7);
  const std::string text = TextOf(metrics);
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text,
              HasSubstr("tensord_sent_bytes_total{method=\"GetTensor\",model=\"other\"} 7\n"));
}

TEST(CallMetrics, ModelsBeyondTheLimitShareALabel) {
  CallMetrics metrics;
  for (size_t i = 0; i < kMaxModelLabels + 5; ++i) {
    metrics.BytesSent(Record(CallMethod::kReadFile, absl::StrCat("model", i)), 10);
  }
  CallRecord unknown = Record(CallMethod::kReadFile, "unknown");
  unknown.model_found = false;
  metrics.BytesSent(unknown, 10);
  const std::string text = TextOf(metrics);
  EXPECT_THAT(text, HasSubstr("{method=\"ReadFile\",model=\"model199\"} 10\n"));
  EXPECT_THAT(text, Not(HasSubstr("model200")));
  EXPECT_THAT(text, HasSubstr("{method=\"ReadFile\",model=\"other\"} 50\n"));
}

}  // namespace
}  // namespace tensord
