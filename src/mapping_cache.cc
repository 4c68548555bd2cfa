#include "src/mapping_cache.h"

#include <iterator>

namespace tensord {

void MappingCache::Keep(const std::shared_ptr<const ServedFile>& mapping) {
  std::list<Kept> evicted;  // Unmapped after the lock.
  MutexLock lock(mutex_);
  Use(mapping, 1, evicted);
}

void MappingCache::Touch(const std::shared_ptr<const ServedFile>& mapping) {
  std::list<Kept> evicted;
  MutexLock lock(mutex_);
  Use(mapping, 0, evicted);
}

void MappingCache::Use(const std::shared_ptr<const ServedFile>& mapping, size_t new_owners,
                       std::list<Kept>& evicted) {
  const auto [it, is_new] = entries_.try_emplace(mapping.get());
  if (is_new) {
    kept_.push_front({mapping, 0});
    it->second = kept_.begin();
    // Pushed out and used again: one owner at least is left.
    if (new_owners == 0) new_owners = 1;
  } else {
    kept_.splice(kept_.begin(), kept_, it->second);
  }
  kept_.front().num_owners += new_owners;
  while (kept_.size() > capacity_) {
    entries_.erase(kept_.back().mapping.get());
    evicted.splice(evicted.begin(), kept_, std::prev(kept_.end()));
  }
}

void MappingCache::Release(const ServedFile* mapping) {
  std::list<Kept> released;
  MutexLock lock(mutex_);
  const auto it = entries_.find(mapping);
  if (it == entries_.end() || --it->second->num_owners > 0) return;
  released.splice(released.begin(), kept_, it->second);
  entries_.erase(it);
}

bool MappingCache::HasRoomAhead(size_t num_waiting) const {
  MutexLock lock(mutex_);
  return kept_.size() + num_waiting < capacity_ / 2;
}

size_t MappingCache::size() const {
  MutexLock lock(mutex_);
  return kept_.size();
}

uint64_t MappingCache::size_bytes() const {
  MutexLock lock(mutex_);
  uint64_t size_bytes = 0;
  for (const Kept& kept : kept_) size_bytes += kept.mapping->size_bytes();
  return size_bytes;
}

}  // namespace tensord
