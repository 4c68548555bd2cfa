// The loaded models of a catalog, within a budget of memory.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "src/model.h"
#include "src/mutex.h"

namespace tensord {

// Keeps the models used last up to `budget_bytes`; others are found as long as somebody uses them.
// Thread-safe. Keys are the caller's.
class ModelCache {
 public:
  explicit ModelCache(uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  // Null when the model was never added, or is gone.
  std::shared_ptr<const Model> Find(uint64_t key);

  // The model to use for `key`: `model`, or the one that another thread added before.
  std::shared_ptr<const Model> Add(uint64_t key, std::shared_ptr<const Model> model);

  // The models that are kept, the one used last at the end.
  std::vector<std::shared_ptr<const Model>> Kept() const;

  // Whether Find would find the models of all keys below `num_keys`.
  bool HasAll(uint64_t num_keys) const;

  // Whether one more model would push another out.
  bool IsFull() const;

 private:
  struct Slot {
    uint64_t key = 0;
    uint64_t bytes = 0;
    std::shared_ptr<const Model> model;
  };
  struct Entry {
    std::weak_ptr<const Model> model;
    std::list<Slot>::iterator kept;  // End: not kept.
  };

  void Touch(Entry& entry, uint64_t key, const std::shared_ptr<const Model>& model,
             std::list<Slot>& evicted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const uint64_t budget_bytes_;
  mutable Mutex mutex_;
  uint64_t used_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Slot> kept_ ABSL_GUARDED_BY(mutex_);  // The one used last in front.
  absl::flat_hash_map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
