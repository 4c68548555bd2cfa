// The catalog that is served now.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "src/catalog.h"
#include "src/mutex.h"

namespace tensord {

// Thread-safe. A reload swaps the picture; whoever got the old one keeps it, whole, as long as he
// likes. A mutex around a pointer copy, because TSan reports std::atomic<std::shared_ptr>.
class LiveCatalog {
 public:
  // Null until the first Swap: the store is still being scanned.
  std::shared_ptr<const Catalog> Get() const {
    const MutexLock lock(mutex_);
    return current_;
  }

  void Swap(std::shared_ptr<const Catalog> catalog) {
    {
      const MutexLock lock(mutex_);
      current_.swap(catalog);
    }
    // The old picture, if this was its last owner, is destroyed here and not under the lock.
  }

  // For whoever finds a file not to be what the catalog says: a new picture is taken soon, by
  // another thread, if anybody takes some at all. May be called as often as one likes.
  void RequestRescan() const {
    const MutexLock lock(hook_mutex_);
    if (rescan_hook_) rescan_hook_();
  }

  // `hook` is called by any thread and must not block; null: nobody reloads. The former one is not
  // running any more when this returns.
  void SetRescanHook(std::function<void()> hook) {
    const MutexLock lock(hook_mutex_);
    rescan_hook_ = std::move(hook);
  }

 private:
  mutable Mutex hook_mutex_;
  std::function<void()> rescan_hook_ ABSL_GUARDED_BY(hook_mutex_);
  mutable Mutex mutex_;
  std::shared_ptr<const Catalog> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
