// Keeps the mappings used last alive between requests, within a budget of descriptors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "src/mutex.h"
#include "src/served_file.h"

namespace tensord {

// Thread-safe. Holds up to `capacity` mappings, each with one descriptor; those pushed out live as
// long as their users.
class MappingCache {
 public:
  explicit MappingCache(size_t capacity) : capacity_(capacity) {}

  // One more owner (a model) wants the mapping kept. It counts as used now.
  void Keep(const std::shared_ptr<const ServedFile>& mapping);

  // The mapping is used now. Kept again if it had been pushed out.
  void Touch(const std::shared_ptr<const ServedFile>& mapping);

  // An owner is gone; with the last one the mapping goes, so that a deleted file's space is freed.
  void Release(const ServedFile* mapping);

  // Whether another mapping that nobody has asked for yet may be kept, where `num_waiting` are to
  // be kept before it: they take half of the room at most.
  bool HasRoomAhead(size_t num_waiting) const;

  size_t size() const;
  uint64_t size_bytes() const;  // Of the files.

 private:
  struct Kept {
    std::shared_ptr<const ServedFile> mapping;
    size_t num_owners = 0;
  };

  void Use(const std::shared_ptr<const ServedFile>& mapping, size_t new_owners,
           std::list<Kept>& evicted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t capacity_;
  mutable Mutex mutex_;
  std::list<Kept> kept_ ABSL_GUARDED_BY(mutex_);  // The one used last in front.
  absl::flat_hash_map<const ServedFile*, std::list<Kept>::iterator> entries_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
