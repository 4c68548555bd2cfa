// Judges the frames of one HTTP/2 connection.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "server/guard_counters.h"
#include "server/guard_limits.h"
#include "server/http2_frames.h"
#include "server/peer_account.h"
#include "server/token_bucket.h"
#include "server/window_limit.h"
#include "src/mutex.h"

namespace tensord {

// Looks at frame headers, as they pass in both directions in the clear. What it finds cannot be
// undone, so the caller closes the connection before gRPC has seen the bytes. Of payloads only a
// client's SETTINGS matter: see WindowLimit. Thread-safe.
class FramePolicy {
 public:
  using Clock = TokenBucket::Clock;

  // `peer`: whose connection it is; null where that is not known.
  FramePolicy(const GuardLimits& limits, Clock::time_point now,
              std::shared_ptr<PeerAccount> peer = nullptr)
      : limits_(limits),
        cancels_(limits.cancels_burst, limits.cancels_per_second, now),
        spare_cancels_(limits.spare_cancels_burst, limits.spare_cancels_per_second, now),
        odd_frames_(limits.odd_frames_burst, limits.odd_frames_per_second, now),
        peer_(std::move(peer)) {}
  // The connection has ended: the calls that it leaves are cancelled ones.
  ~FramePolicy();
  FramePolicy(const FramePolicy&) = delete;
  FramePolicy& operator=(const FramePolicy&) = delete;

  // It turns out whose connection it is.
  void BelongsTo(std::shared_ptr<PeerAccount> peer);

  // What came from the client, which gRPC is to see as it is afterwards. A reason: the connection
  // is to be closed; once and for all.
  std::optional<CloseReason> Received(absl::Span<uint8_t> bytes, Clock::time_point now);

  // What was sent to it.
  void Sent(absl::Span<const uint8_t> bytes, Clock::time_point now);

  // True once the client has sent a frame.
  bool has_begun() const;

  // Whether it has more calls open than most clients ever have.
  bool is_crowded() const { return num_open_calls_.load(std::memory_order_relaxed) > kCrowd; }

 private:
  // A burst of 500 calls takes gRPC 10 ms; this is a tenth of one.
  static constexpr size_t kCrowd = 50;

  void Judge(const FrameHeader& frame, Clock::time_point now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void JudgeBegin(const FrameHeader& frame, Clock::time_point now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One cancelled call, out of what the peer or else this connection has left.
  bool PeerPays(Clock::time_point now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void JudgeRequest(const FrameHeader& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The server has begun to answer.
  void Answered(uint32_t stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns whether the call was open.
  bool Ended(uint32_t stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void JudgeHeaderBlock(const FrameHeader& frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Cancelled(Clock::time_point now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Violates(CloseReason reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // A stream that the client has begun and the server has not ended.
  struct Call {
    uint64_t request_bytes = 0;  // That gRPC keeps: until all has come and the answer has begun.
    bool has_all = false;
    bool is_answered = false;
  };
  void LetGoOfRequest(Call& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const GuardLimits limits_;
  mutable Mutex mutex_;
  FrameReader inbound_ ABSL_GUARDED_BY(mutex_){FrameReader::Side::kClient};
  WindowLimit window_limit_ ABSL_GUARDED_BY(mutex_);
  FrameReader outbound_ ABSL_GUARDED_BY(mutex_){FrameReader::Side::kServer};
  TokenBucket cancels_ ABSL_GUARDED_BY(mutex_);
  TokenBucket spare_cancels_ ABSL_GUARDED_BY(mutex_);  // Whatever the peer's other connections do.
  TokenBucket odd_frames_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<PeerAccount> peer_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint32_t, Call> open_calls_ ABSL_GUARDED_BY(mutex_);
  std::atomic<size_t> num_open_calls_{0};  // The same's size, to be asked without a lock.
  uint64_t request_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // Of all of them.
  uint32_t last_stream_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t pings_unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t header_block_bytes_ ABSL_GUARDED_BY(mutex_) = 0;       // Of the block that is open.
  std::optional<CloseReason> violation_ ABSL_GUARDED_BY(mutex_);  // The first.
};

}  // namespace tensord
