#include "server/active_streams.h"

#include "src/error.h"

namespace tensord {

absl::StatusOr<ActiveStreams::Token> ActiveStreams::Begin() {
  MutexLock lock(mutex_);
  if (draining_) {
    return MakeError(ErrorReason::kDraining, "the server is shutting down; try another one");
  }
  ++count_;
  return Token(this);
}

size_t ActiveStreams::Drain(std::chrono::steady_clock::time_point deadline) {
  MutexLock lock(mutex_);
  draining_ = true;
  const size_t num_running = count_;
  while (count_ > 0 && ended_.wait_until(mutex_, deadline) == std::cv_status::no_timeout) {
  }
  return num_running;
}

void ActiveStreams::End() {
  MutexLock lock(mutex_);
  if (--count_ == 0) ended_.notify_all();
}

}  // namespace tensord
