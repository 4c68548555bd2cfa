// The catalog that is served now.
#pragma once

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

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const Catalog> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
