// What all connections of one peer have done together.
#pragma once

#include <chrono>
#include <cstdint>

#include "server/guard_limits.h"
#include "server/token_bucket.h"
#include "src/mutex.h"

namespace tensord {

// A limit of a connection is none for whoever makes another one. So cancelled calls are counted for
// the peer, too, and one that has had more than its share has to wait with new connections; those
// that run go on. Thread-safe.
class PeerAccount {
 public:
  using Clock = TokenBucket::Clock;

  PeerAccount(const GuardLimits& limits, Clock::time_point now)
      : limits_(limits),
        cancels_(limits.peer_cancels_burst, limits.peer_cancels_per_second, now),
        since_(now),
        last_start_(now) {}

  // `count` calls were cancelled, or left without an end by a connection that has ended, or begun
  // beyond the number that clients are told. False when that is beyond what the peer may; it owes
  // nothing for these.
  bool TakeCancels(double count, Clock::time_point now);

  // So many bytes of requests have come that gRPC keeps. False when that makes it more than the
  // peer may have. They count until they are returned.
  bool TakeRequestBytes(uint64_t count);
  void ReturnRequestBytes(uint64_t count);

  // When a connection that has come now may begin: now, or later where the peer has lately gone
  // beyond its share. Each question is for one connection.
  Clock::time_point NextStart(Clock::time_point now);

 private:
  // How often it has gone beyond its share, one forgotten each second.
  void Forget(Clock::time_point now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const GuardLimits limits_;
  Mutex mutex_;
  TokenBucket cancels_ ABSL_GUARDED_BY(mutex_);
  uint64_t request_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  double excesses_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::time_point since_ ABSL_GUARDED_BY(mutex_);
  Clock::time_point last_start_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
