// A value that is computed when it is first asked for.
#pragma once

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "src/mutex.h"

namespace tensord {

// Thread-safe. Threads that ask at once may each compute; the first result stays, so that no lock
// is held while computing. `compute` must be a pure function of what does not change.
template <typename T>
class Lazy {
 public:
  bool is_computed() const { return Known() != nullptr; }

  template <typename Compute>
  const T& Get(Compute compute) const {
    if (const T* known = Known()) return *known;
    auto computed = std::make_unique<const T>(compute());
    MutexLock lock(mutex_);
    if (value_ == nullptr) value_ = std::move(computed);
    return *value_;
  }

 private:
  const T* Known() const {
    MutexLock lock(mutex_);
    return value_.get();
  }

  mutable Mutex mutex_;
  mutable std::unique_ptr<const T> value_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
