// Makes a call again where that may help, and ends where it cannot.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/call.h"
#include "tensord/client_options.h"

namespace tensord {

// A server that asks for a longer pause than this is not waited for.
inline constexpr absl::Duration kLongestHint = absl::Minutes(1);

// Whether the same call may well succeed later: UNAVAILABLE; RESOURCE_EXHAUSTED that says when, or
// names a limit that comes free again; ABORTED (STALLED).
bool IsRetryable(const absl::Status& status);

// How one attempt ended.
struct AttemptEnd {
  absl::Status status;
  bool is_final = false;  // Not what server or network said, so nothing that a repetition mends.
};

// For one RPC, however often it is sent; used by one thread.
//
// Pauses grow from first_backoff to last_backoff, each a random part of its length, so that a crowd
// of clients does not come back at once; a server's hint is waited for on top. It ends
//   with OK, or an error that is not retryable, at once;
//   after max_resumes_without_progress attempts in a row that brought nothing;
//   when the server has said STARTING or DRAINING for connect_timeout: to the caller it is one that
//   is not there;
//   with DEADLINE_EXCEEDED where the next attempt would begin after the deadline, and CANCELLED.
// The error then is the last one; of several attempts it says how many, what they brought, and how
// the one before ended.
class RetryLoop {
 public:
  // Both must outlive the loop.
  RetryLoop(const ClientOptions& options, const Call& call) : options_(options), call_(call) {}

  // `connect` has its own patience: its error ends the loop. `progress` says how much, of anything,
  // attempts have brought so far; it never decreases.
  absl::Status Run(absl::FunctionRef<absl::Status()> connect,
                   absl::FunctionRef<AttemptEnd()> attempt, absl::FunctionRef<uint64_t()> progress);

 private:
  // Judges a failure and waits, or says why to end.
  absl::Status BackOff(const absl::Status& failure);
  absl::Duration NextPause(const absl::Status& failure);
  absl::Status Wait(absl::Time until, const absl::Status& failure) const;
  absl::Status Explain(const absl::Status& status, uint64_t bytes) const;

  const ClientOptions& options_;
  const Call& call_;
  int num_attempts_ = 0;
  int num_fruitless_ = 0;  // Failures in a row without progress.
  absl::Time not_serving_since_ = absl::InfiniteFuture();
  std::string gave_up_;   // Why, where the loop itself ends it.
  std::string previous_;  // How the attempt before the last ended.
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace tensord
