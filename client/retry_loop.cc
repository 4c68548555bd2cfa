#include "client/retry_loop.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/status_details.h"
#include "src/error.h"
#include "src/status_macros.h"
#include "tensord/error_reason.h"

namespace tensord {
namespace {

// How soon a pause notices a cancellation.
constexpr absl::Duration kCancellationPoll = absl::Milliseconds(20);

bool IsNotServingYet(const absl::Status& status) {
  const ErrorReason reason = ReasonOf(status);
  return reason == ErrorReason::kStarting || reason == ErrorReason::kDraining;
}

}  // namespace

bool IsRetryable(const absl::Status& status) {
  const ErrorReason reason = ReasonOf(status);
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return true;
    case absl::StatusCode::kResourceExhausted:
      // gRPC's own, a message above its limit, would fail again.
      return reason == ErrorReason::kTooManyStreams || reason == ErrorReason::kOutOfBuffers ||
             RetryDelay(status).has_value();
    case absl::StatusCode::kAborted:
      return reason == ErrorReason::kStalled;
    default:
      return false;
  }
}

absl::Status RetryLoop::Run(absl::FunctionRef<absl::Status()> connect,
                            absl::FunctionRef<AttemptEnd()> attempt,
                            absl::FunctionRef<uint64_t()> progress) {
  while (true) {
    const absl::Status connected = connect();
    if (!connected.ok()) return Explain(connected, progress());
    ++num_attempts_;
    if (num_attempts_ > 1) ++call_.counters->num_retries;
    const uint64_t before = progress();
    const AttemptEnd end = attempt();
    if (end.status.ok()) return end.status;
    if (end.is_final || !options_.retry || !IsRetryable(end.status)) {
      return Explain(end.status, progress());
    }
    if (progress() > before) {
      num_fruitless_ = 0;
      not_serving_since_ = absl::InfiniteFuture();
    }
    const absl::Status waited = BackOff(end.status);
    if (!waited.ok()) return Explain(waited, progress());
    previous_ = end.status.ToString(absl::StatusToStringMode::kWithNoExtraData);
  }
}

absl::Status RetryLoop::BackOff(const absl::Status& failure) {
  const absl::Time now = absl::Now();
  if (IsNotServingYet(failure)) {
    not_serving_since_ = std::min(not_serving_since_, now);
    if (now - not_serving_since_ >= call_.connect_timeout) {
      gave_up_ =
          absl::StrCat("it would not serve for ", absl::FormatDuration(call_.connect_timeout));
      return failure;
    }
  } else if (num_fruitless_ >= options_.max_resumes_without_progress) {
    gave_up_ = absl::StrCat("nothing came in ", num_fruitless_ + 1, " attempts in a row");
    return failure;
  }
  const auto hint = RetryDelay(failure);
  if (hint && absl::FromChrono(*hint) > kLongestHint) {
    gave_up_ =
        absl::StrCat("the server asks to wait ", absl::FormatDuration(absl::FromChrono(*hint)));
    return failure;
  }
  const absl::Duration pause = NextPause(failure);
  ++num_fruitless_;
  return Wait(now + pause, failure);
}

absl::Duration RetryLoop::NextPause(const absl::Status& failure) {
  absl::Duration longest = options_.first_backoff;
  for (int i = 0; i < num_fruitless_ && longest < options_.last_backoff; ++i) longest *= 2;
  longest = std::min(longest, options_.last_backoff);
  const absl::Duration pause = longest * std::uniform_real_distribution<double>(0, 1)(random_);
  const auto hint = RetryDelay(failure);
  return hint ? absl::FromChrono(*hint) + pause : pause;
}

absl::Status RetryLoop::Wait(absl::Time until, const absl::Status& failure) const {
  if (until >= call_.deadline) {
    return absl::DeadlineExceededError(
        absl::StrCat("no time is left for another attempt: ", failure.message()));
  }
  while (true) {
    if (call_.IsCancelled()) return absl::CancelledError("the call was cancelled");
    const absl::Duration left = until - absl::Now();
    if (left <= absl::ZeroDuration()) return absl::OkStatus();
    absl::SleepFor(std::min(left, kCancellationPoll));
  }
}

absl::Status RetryLoop::Explain(const absl::Status& status, uint64_t bytes) const {
  if (num_attempts_ < 2 && gave_up_.empty()) return status;
  std::string prefix =
      absl::StrCat("after ", num_attempts_, num_attempts_ == 1 ? " attempt, " : " attempts, ",
                   bytes, " bytes received");
  if (!gave_up_.empty()) absl::StrAppend(&prefix, "; ", gave_up_);
  if (gave_up_.empty() && !previous_.empty()) {
    absl::StrAppend(&prefix, "; before, ", previous_);
  }
  return Annotate(status, prefix);
}

}  // namespace tensord
