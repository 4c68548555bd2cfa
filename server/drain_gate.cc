#include "server/drain_gate.h"

#include <utility>

namespace tensord {

void DrainGate::Hold() {
  const MutexLock lock(mutex_);
  ++held_;
  used_ = true;
}

void DrainGate::Release() {
  std::function<void()> action;
  {
    const MutexLock lock(mutex_);
    if (--held_ == 0) action.swap(action_);
  }
  // Who takes the action owns the stream's end: the stream lives until the action finishes it.
  if (action) queue_->Post(std::move(action));
}

bool DrainGate::WhenDrained(std::function<void()> action) {
  {
    const MutexLock lock(mutex_);
    if (cancelled_) return false;
    if (held_ > 0) {
      action_ = std::move(action);
      return true;
    }
  }
  action();
  return true;
}

bool DrainGate::Cancel() {
  std::function<void()> dropped;
  const MutexLock lock(mutex_);
  cancelled_ = true;
  dropped.swap(action_);
  return static_cast<bool>(dropped);
}

bool DrainGate::used() const {
  const MutexLock lock(mutex_);
  return used_;
}

}  // namespace tensord
