// Keeps the mappings used last alive between requests, within a budget of descriptors.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "src/mapped_file.h"
#include "src/mutex.h"

namespace tensord {

// Thread-safe. Holds the `capacity` mappings opened last; older ones live as long as their users.
class MappingCache {
 public:
  explicit MappingCache(size_t capacity) : capacity_(capacity) {}

  void Keep(std::shared_ptr<const MappedFile> mapping) {
    std::shared_ptr<const MappedFile> evicted;  // Unmapped after the lock.
    MutexLock lock(mutex_);
    kept_.push_back(std::move(mapping));
    if (kept_.size() <= capacity_) return;
    evicted = std::move(kept_.front());
    kept_.pop_front();
  }

 private:
  const size_t capacity_;
  Mutex mutex_;
  std::deque<std::shared_ptr<const MappedFile>> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
