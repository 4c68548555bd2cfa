// Tells when the network has let go of a stream's mapped memory.
#pragma once

#include <cstddef>
#include <functional>

#include "server/work_queue.h"
#include "src/mutex.h"

namespace tensord {

// Counts the slices of mapped memory that gRPC still holds. Shared between a stream and its slices,
// because a slice may be freed long after its stream has gone: a cancelled call ends at once, but
// bytes already handed to the transport leave when the socket takes them. Thread-safe.
class DrainGate {
 public:
  // `queue` must outlive every stream that waits here.
  explicit DrainGate(WorkQueue* queue) : queue_(queue) {}

  void Hold();     // A slice was made.
  void Release();  // A slice was destroyed.

  // Runs `action` once nothing is held: at once in this thread, or later in the queue's, because a
  // slice is destroyed deep inside gRPC. False, and it never runs, after Cancel.
  bool WhenDrained(std::function<void()> action);

  // True when an action was waiting, which now never runs.
  bool Cancel();

  // True once anything was ever held.
  bool used() const;

 private:
  WorkQueue* const queue_;
  mutable Mutex mutex_;
  size_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  bool used_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> action_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
