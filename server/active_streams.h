// The streams that run, so that a server that ends can wait for them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "src/mutex.h"

namespace tensord {

// Thread-safe. Must outlive its tokens.
class ActiveStreams {
 public:
  // Counts one stream for as long as it lives. Moves only; an empty one counts nothing.
  class Token {
   public:
    Token() = default;
    Token(Token&& other) noexcept : streams_(std::exchange(other.streams_, nullptr)) {}
    Token& operator=(Token&&) = delete;
    ~Token() {
      if (streams_ != nullptr) streams_->End();
    }

   private:
    friend class ActiveStreams;
    explicit Token(ActiveStreams* streams) : streams_(streams) {}

    ActiveStreams* streams_ = nullptr;
  };

  // DRAINING once Drain has been called.
  absl::StatusOr<Token> Begin();

  // From now on no stream begins. Waits until all have ended or the deadline has passed; returns
  // how many were running.
  size_t Drain(std::chrono::steady_clock::time_point deadline);

 private:
  void End();

  Mutex mutex_;
  std::condition_variable_any ended_;
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tensord
