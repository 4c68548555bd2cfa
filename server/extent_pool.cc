#include "server/extent_pool.h"

#include <algorithm>
#include <cassert>
#include <iterator>

namespace tensord {

std::optional<size_t> ExtentPool::Take(size_t size) {
  const auto found =
      std::find_if(free_.begin(), free_.end(), [size](const auto& e) { return e.second >= size; });
  if (found == free_.end()) return std::nullopt;
  const auto [offset, found_size] = *found;
  const auto next = free_.erase(found);
  if (found_size > size) free_.emplace_hint(next, offset + size, found_size - size);
  free_size_ -= size;
  return offset;
}

void ExtentPool::Put(size_t offset, size_t size) {
  if (size == 0) return;
  free_size_ += size;
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + size) {
    size += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    assert(before->first + before->second <= offset);
    if (before->first + before->second == offset) {
      before->second += size;
      return;
    }
  }
  free_.emplace_hint(next, offset, size);
}

size_t ExtentPool::largest() const {
  size_t largest = 0;
  for (const auto& [offset, size] : free_) largest = std::max(largest, size);
  return largest;
}

size_t ExtentPool::used_end() const {
  if (free_.empty()) return size_;
  const auto [offset, size] = *free_.rbegin();
  return offset + size == size_ ? offset : size_;
}

}  // namespace tensord
