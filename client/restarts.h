// Begins a read anew where the model was replaced on the way and the caller asked for that.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/call.h"
#include "tensord/error_reason.h"

namespace tensord {

// A model that is replaced more often while it is read than this is being written, not released.
inline constexpr int kMaxRestarts = 5;

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// Returns what `read` returns, an absl::Status or absl::StatusOr. Never mixes versions: each round
// begins with nothing. A version that the caller named is not exchanged.
template <typename Read>
auto WithRestarts(const Call& call, const Read& read) {
  for (int restarts = 0;; ++restarts) {
    auto result = read();
    const bool again = call.restart_on_version_change && call.version.empty() &&
                       ReasonOf(StatusOf(result)) == ErrorReason::kVersionChanged &&
                       restarts < kMaxRestarts;
    if (!again) return result;
    ++call.counters->num_restarts;
  }
}

}  // namespace tensord
