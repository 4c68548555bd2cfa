// Where the process stands between start and end, for whoever asks.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "src/mutex.h"

namespace tensord {

// Starting, ready, draining: in this order, none skipped but ready. Thread-safe.
class ServingState {
 public:
  // `tell` is called at each change with whether calls are welcome; it must be quick.
  explicit ServingState(std::function<void(bool)> tell) : tell_(std::move(tell)) {}

  // Why it is not ready yet, for people: "model \"a\" is not complete".
  void SetMissing(const std::string& missing) {
    const MutexLock lock(mutex_);
    missing_ = missing;
  }

  void SetReady() {
    const MutexLock lock(mutex_);
    if (is_ready_ || is_draining_) return;
    is_ready_ = true;
    tell_(true);  // Under the lock, so that no drain comes in between and is undone.
  }

  void SetDraining() {
    const MutexLock lock(mutex_);
    is_draining_ = true;
    tell_(false);
  }

  // Has been ready once.
  bool is_started() const {
    const MutexLock lock(mutex_);
    return is_ready_;
  }
  bool is_draining() const {
    const MutexLock lock(mutex_);
    return is_draining_;
  }
  // Why calls are not welcome; empty when they are.
  std::string Obstacle() const {
    const MutexLock lock(mutex_);
    if (is_draining_) return "draining";
    return is_ready_ ? "" : "starting: " + missing_;
  }

 private:
  const std::function<void(bool)> tell_;
  mutable Mutex mutex_;
  bool is_ready_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::string missing_ ABSL_GUARDED_BY(mutex_) = "the first scan is not done";
};

}  // namespace tensord
