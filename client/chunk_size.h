// How much data a server is asked to put into one message.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "client/retry_loop.h"
#include "src/error.h"
#include "tensord/error_reason.h"

namespace tensord {

// Of one call, however often it is sent. A message counts only when all of it has come: over a
// connection that breaks, or stalls, within each, only smaller ones make headway. Used by one
// thread.
class ChunkSize {
 public:
  // The server gives no less.
  static constexpr uint32_t kLeastBytes = 64 << 10;

  // `wanted`: ClientOptions::chunk_bytes.
  explicit ChunkSize(uint32_t wanted) : wanted_(wanted), bytes_(wanted) {}

  uint32_t bytes() const { return bytes_; }

  // After each attempt, with how it ended and the bytes that it brought.
  void Learn(const absl::Status& status, uint64_t received) {
    if (received == 0 && IsOfNetwork(status)) {
      const uint32_t asked = bytes_ == 0 ? kServersChoice : bytes_;
      bytes_ = std::max(kLeastBytes, asked / kDivisor);
    } else if (received >= uint64_t{kManyMessages} * bytes_) {
      bytes_ = wanted_;  // It is no longer as it was.
    }
  }

 private:
  static constexpr uint32_t kServersChoice = 1 << 20;
  static constexpr uint32_t kDivisor = 4;  // At the least within two attempts.
  static constexpr uint32_t kManyMessages = 64;

  // What the server itself says of when to come again has nothing to do with messages.
  static bool IsOfNetwork(const absl::Status& status) {
    const ErrorReason reason = ReasonOf(status);
    return IsRetryable(status) &&
           (reason == ErrorReason::kUnspecified || reason == ErrorReason::kStalled);
  }

  const uint32_t wanted_;
  uint32_t bytes_;  // 0: as the server likes.
};

}  // namespace tensord
