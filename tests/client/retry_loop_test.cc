// Which failures are tried again, how often, and what the error says in the end.
#include "client/retry_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "proto/status_details.h"
#include "src/error.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

absl::Status WithHint(absl::Status status, const std::string& milliseconds) {
  SetErrorDetail(status, kRetryDetail, milliseconds);
  return status;
}

struct JudgementRow {
  std::string name;
  absl::Status status;
  bool retryable;
};

class Judgements : public ::testing::TestWithParam<JudgementRow> {};

TEST_P(Judgements, Hold) { EXPECT_EQ(IsRetryable(GetParam().status), GetParam().retryable); }

INSTANTIATE_TEST_SUITE_P(
    All, Judgements,
    ::testing::Values(
        JudgementRow{"unavailable", absl::UnavailableError("gone"), true},
        JudgementRow{"starting", MakeError(ErrorReason::kStarting, ""), true},
        JudgementRow{"draining", MakeError(ErrorReason::kDraining, ""), true},
        JudgementRow{"streams", MakeError(ErrorReason::kTooManyStreams, ""), true},
        JudgementRow{"buffers", MakeError(ErrorReason::kOutOfBuffers, ""), true},
        JudgementRow{"stalled", MakeError(ErrorReason::kStalled, ""), true},
        JudgementRow{"hinted", WithHint(absl::ResourceExhaustedError("full"), "5"), true},
        JudgementRow{"message_too_large", absl::ResourceExhaustedError("too large"), false},
        JudgementRow{"aborted", absl::AbortedError("x"), false},
        JudgementRow{"data_loss", absl::DataLossError("x"), false},
        JudgementRow{"hinted_data_loss", WithHint(absl::DataLossError("x"), "5"), false},
        JudgementRow{"version", MakeError(ErrorReason::kVersionChanged, ""), false},
        JudgementRow{"not_found", MakeError(ErrorReason::kTensorNotFound, ""), false},
        JudgementRow{"cancelled", absl::CancelledError(""), false},
        JudgementRow{"deadline", absl::DeadlineExceededError(""), false},
        JudgementRow{"internal", absl::InternalError(""), false},
        JudgementRow{"denied", MakeError(ErrorReason::kPermissionDenied, ""), false}),
    [](const ::testing::TestParamInfo<JudgementRow>& row) { return row.param.name; });

class RetryLoopTest : public ::testing::Test {
 protected:
  RetryLoopTest() {
    options_.first_backoff = absl::Milliseconds(1);
    options_.last_backoff = absl::Milliseconds(2);
  }

  // Attempt i ends with outcomes[i], the last one for ever; each brings `bytes_each`.
  absl::Status Run(std::vector<absl::Status> outcomes, uint64_t bytes_each = 0) {
    RetryLoop loop(options_, call_);
    uint64_t bytes = 0;
    return loop.Run([&] { return connected_; },
                    [&]() -> AttemptEnd {
                      bytes += bytes_each;
                      const size_t last = outcomes.size() - 1;
                      return {outcomes[std::min<size_t>(num_attempts_++, last)], is_final_};
                    },
                    [&] { return bytes; });
  }

  ClientOptions options_;
  Call call_;
  absl::Status connected_;
  bool is_final_ = false;
  int num_attempts_ = 0;
};

TEST_F(RetryLoopTest, OkEndsIt) {
  EXPECT_TRUE(Run({absl::OkStatus()}).ok());
  EXPECT_EQ(num_attempts_, 1);
  EXPECT_EQ(call_.counters->num_retries, 0);
}

TEST_F(RetryLoopTest, GoesOnUntilOk) {
  EXPECT_TRUE(
      Run({absl::UnavailableError("a"), absl::UnavailableError("b"), absl::OkStatus()}).ok());
  EXPECT_EQ(num_attempts_, 3);
  EXPECT_EQ(call_.counters->num_retries, 2);
}

TEST_F(RetryLoopTest, EndsAfterFiveFruitlessResumesAndSaysSo) {
  const absl::Status status = Run({absl::UnavailableError("reset by peer")});
  EXPECT_EQ(num_attempts_, 6);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("after 6 attempts, 0 bytes received"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("reset by peer"));
}

TEST_F(RetryLoopTest, ProgressGivesNewPatience) {
  std::vector<absl::Status> outcomes(20, absl::UnavailableError("cut"));
  outcomes.push_back(absl::OkStatus());
  EXPECT_TRUE(Run(outcomes, 10).ok());
  EXPECT_EQ(num_attempts_, 21);
}

TEST_F(RetryLoopTest, AnErrorThatStaysIsReturnedAsItIs) {
  const absl::Status lost = absl::DataLossError("bad bytes");
  EXPECT_EQ(Run({lost}), lost);
  EXPECT_EQ(num_attempts_, 1);
}

TEST_F(RetryLoopTest, ALaterErrorTellsWhatCameBefore) {
  const absl::Status status =
      Run({absl::UnavailableError("reset"), MakeError(ErrorReason::kVersionChanged, "now v2")}, 7);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kVersionChanged);
  EXPECT_EQ(status.message(),
            "after 2 attempts, 14 bytes received; before, UNAVAILABLE: reset: now v2");
}

TEST_F(RetryLoopTest, FinalAndSwitchedOffMeanOneAttempt) {
  is_final_ = true;
  EXPECT_EQ(Run({absl::UnavailableError("of the sink")}), absl::UnavailableError("of the sink"));
  EXPECT_EQ(num_attempts_, 1);
  is_final_ = false;
  options_.retry = false;
  EXPECT_EQ(Run({absl::UnavailableError("cut")}), absl::UnavailableError("cut"));
  EXPECT_EQ(num_attempts_, 2);
}

TEST_F(RetryLoopTest, NoConnectionEndsIt) {
  connected_ = absl::UnavailableError("no connection");
  EXPECT_EQ(Run({absl::OkStatus()}), connected_);
  EXPECT_EQ(num_attempts_, 0);
}

TEST_F(RetryLoopTest, AServerThatStartsIsWaitedForBeyondTheAttempts) {
  std::vector<absl::Status> outcomes(30, MakeError(ErrorReason::kStarting, "scanning"));
  outcomes.push_back(absl::OkStatus());
  EXPECT_TRUE(Run(outcomes).ok());
}

TEST_F(RetryLoopTest, AServerThatKeepsStartingIsGivenUp) {
  call_.connect_timeout = absl::Milliseconds(20);
  const absl::Status status = Run({MakeError(ErrorReason::kStarting, "scanning")});
  EXPECT_EQ(ReasonOf(status), ErrorReason::kStarting);
  EXPECT_THAT(std::string(status.message()), HasSubstr("it would not serve for 20ms"));
}

TEST_F(RetryLoopTest, AHintIsWaitedForButNotForEver) {
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(Run({WithHint(absl::UnavailableError("busy"), "30"), absl::OkStatus()}).ok());
  EXPECT_GE(absl::Now() - begin, absl::Milliseconds(30));
  num_attempts_ = 0;
  const absl::Status status = Run({WithHint(absl::UnavailableError("busy"), "3600000")});
  EXPECT_EQ(num_attempts_, 1);
  EXPECT_THAT(std::string(status.message()), HasSubstr("asks to wait 1h"));
}

TEST_F(RetryLoopTest, APauseBeyondTheDeadlineIsADeadline) {
  call_.deadline = absl::Now() + absl::Seconds(20);
  const absl::Status status = Run({WithHint(absl::UnavailableError("busy"), "30000")});
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("busy"));
}

TEST_F(RetryLoopTest, ACancellationEndsThePause) {
  Cancellation cancellation;
  call_.cancellations.push_back(cancellation);
  cancellation.Cancel();
  EXPECT_EQ(Run({WithHint(absl::UnavailableError("busy"), "50000")}).code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace tensord
