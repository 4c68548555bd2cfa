// The streams that run: counted, limited, and ended from outside where that is needed.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/mutex.h"

namespace tensord {

// Names a peer (one connection) in this process; never used twice.
using PeerId = uint64_t;

// Thread-safe. Must outlive its tokens.
class ActiveStreams {
 public:
  using Clock = std::chrono::steady_clock;

  struct Limits {
    size_t max_streams = 1024;
    size_t max_streams_per_peer = 1024;
  };

  // Ends a stream's call with a status although a write is outstanding. Called from any thread,
  // without a lock of ours, perhaps after the stream has ended; then it does nothing.
  using Cancel = std::function<void(const absl::Status&)>;

 private:
  struct Peer {
    PeerId id = 0;
    size_t num_streams = 0;
  };
  using Peers = std::map<std::string, Peer, std::less<>>;
  struct Stream {
    PeerId peer_id = 0;
    Peers::iterator peer;  // The end once it finishes.
    Cancel cancel;
    std::atomic<Clock::rep> waits_since{0};  // 0: not for its client.
  };
  using Streams = std::list<Stream>;

 public:
  // Counts one stream for as long as it lives. Moves only; an empty one counts nothing.
  class Token {
   public:
    Token() = default;
    Token(Token&& other) noexcept
        : streams_(std::exchange(other.streams_, nullptr)), stream_(other.stream_) {}
    Token& operator=(Token&&) = delete;
    ~Token() {
      if (streams_ != nullptr) streams_->End(stream_);
    }

    // From now on only the client can bring the stream on; until Proceeded.
    void WaitsForClient() {
      if (streams_ != nullptr) stream_->waits_since = Clock::now().time_since_epoch().count();
    }
    void Proceeded() {
      if (streams_ != nullptr) stream_->waits_since = 0;
    }
    // The status is about to be sent: the peer may have another stream as soon as it has read it,
    // which is before the token dies. Once only.
    void Finishes() {
      WaitsForClient();
      if (streams_ != nullptr) streams_->LeavePeer(*stream_);
    }

    PeerId peer() const { return streams_ == nullptr ? 0 : stream_->peer_id; }

   private:
    friend class ActiveStreams;
    Token(ActiveStreams* streams, Streams::iterator stream) : streams_(streams), stream_(stream) {}

    ActiveStreams* streams_ = nullptr;
    Streams::iterator stream_;
  };

  ActiveStreams() : ActiveStreams(Limits()) {}
  explicit ActiveStreams(const Limits& limits) : limits_(limits) {}

  // A stream of `peer`. Errors: DRAINING once Drain has been called; TOO_MANY_STREAMS, with a hint
  // when to retry, where the peer or all peers together have as many as they may.
  absl::StatusOr<Token> Begin(absl::string_view peer, Cancel cancel);

  // From now on no stream begins. Waits until all have ended or the deadline has passed; returns
  // how many were running. Those that still run then are ended with DRAINING, and waited for a
  // moment.
  size_t Drain(Clock::time_point deadline);

  // Ends with `status` every stream that has waited for its client since before `since`; returns
  // how many.
  size_t CancelStalled(Clock::time_point since, const absl::Status& status);

  size_t size() const;

  // DRAINING once Drain has been called.
  absl::Status CheckNotDraining() const;

 private:
  void LeavePeer(Stream& stream);
  void LeavePeerLocked(Stream& stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(Streams::iterator stream);
  bool WaitUntilEmpty(Clock::time_point deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Limits limits_;
  mutable Mutex mutex_;
  std::condition_variable_any ended_;
  Streams streams_ ABSL_GUARDED_BY(mutex_);
  Peers peers_ ABSL_GUARDED_BY(mutex_);  // Those with streams.
  PeerId last_peer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tensord
