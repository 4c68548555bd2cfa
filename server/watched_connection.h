// One connection under guard.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "server/frame_policy.h"
#include "server/guard_counters.h"
#include "server/guard_limits.h"
#include "server/peer_account.h"
#include "server/token_bucket.h"
#include "src/mutex.h"

namespace tensord {

// Told of a connection that ends for what it did, from any thread. `peer`: as PeerOf. `error`: more
// than the reason says; may be empty.
using GuardReport =
    std::function<void(CloseReason reason, const std::string& peer, const std::string& error)>;

// Told of a connection that is refused, by the accept loop. `peer`: as PeerOf; empty where the
// system could not even accept it.
using RefusalReport = std::function<void(AcceptResult result, const std::string& peer)>;

// What all connections of a server share.
struct GuardContext {
  GuardLimits limits;
  GuardCounters counters;
  GuardReport report;      // May be empty.
  RefusalReport refusals;  // May be empty.
  // Told when the calls of one connection may keep one of gRPC's threads busy for long. Quick, from
  // any thread. May be empty.
  std::function<void()> crowded;
};

// Measures and judges what passes over one socket. Thread-safe.
class WatchedConnection {
 public:
  using Clock = TokenBucket::Clock;

  struct Facts {
    std::string peer;
    bool is_unix = false;
    bool is_encrypted = false;             // Its frames are judged elsewhere.
    uint64_t cookie = 0;                   // The socket's.
    std::shared_ptr<PeerAccount> account;  // The peer's; may be null.
  };

  WatchedConnection(std::shared_ptr<GuardContext> context, Facts facts, Clock::time_point now);

  const Facts& facts() const { return facts_; }

  // The first `num_bytes` of `pieces` have been read from `fd`; windows in them are lowered where
  // the client wants that. False when the connection is to be closed, and gRPC must not see them.
  bool Received(int fd, absl::Span<const iovec> pieces, size_t num_bytes, Clock::time_point now);

  // They have been written to it.
  void Sent(absl::Span<const iovec> pieces, size_t num_bytes, Clock::time_point now);

  // Of an encrypted connection: its TLS session is found.
  bool has_session() const { return has_session_; }
  void FoundSession() { has_session_ = true; }

  // True once the client speaks HTTP/2; once it speaks at all where that is encrypted.
  bool has_begun() const { return frames_ == nullptr ? has_spoken_.load() : frames_->has_begun(); }

  // True where the client has not begun to speak HTTP/2 in its time; counted once.
  bool HasExpired(Clock::time_point now);

  // Of an encrypted connection: what became of its handshake. A failure is counted and reported
  // once; `error` says what OpenSSL thinks of it.
  void FinishedHandshake() { has_finished_handshake_ = true; }
  void FailedHandshake(const std::string& error);

  // It is over. Where a handshake was begun and not finished that is a failed one, too.
  void Gone();

 private:
  bool Allows(int fd, size_t num_bytes, Clock::time_point now);
  void Close(CloseReason reason, const std::string& error = "");

  const std::shared_ptr<GuardContext> context_;
  const Facts facts_;
  const Clock::time_point begun_;
  const std::unique_ptr<FramePolicy> frames_;  // Null when encrypted.
  std::atomic<uint64_t> sent_bytes_{0};
  std::atomic<bool> closed_{false};
  std::atomic<bool> has_session_{false};
  std::atomic<bool> has_spoken_{false};
  std::atomic<bool> has_finished_handshake_{false};
  Mutex mutex_;
  TokenBucket inbound_ ABSL_GUARDED_BY(mutex_);
  uint64_t credited_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // Of those acknowledged.
};

}  // namespace tensord
