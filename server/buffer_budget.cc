#include "server/buffer_budget.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tensord {
namespace {

constexpr size_t kPageBytes = 4096;

// Messages of the middle size, while between a half and a quarter of the budget is free.
constexpr size_t kMiddleBytes = 256 << 10;

// Given back in pieces, so that nobody waits for the lock for longer than a fraction of a
// millisecond.
constexpr size_t kReleaseBytes = 2 << 20;

size_t RoundUp(size_t size) { return (size + kPageBytes - 1) / kPageBytes * kPageBytes; }

}  // namespace

BufferBudget::Buffer& BufferBudget::Buffer::operator=(Buffer&& other) noexcept {
  std::swap(budget_, other.budget_);
  std::swap(peer_, other.peer_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

BufferBudget::Buffer::~Buffer() {
  if (budget_ != nullptr) budget_->Return(peer_, data_, RoundUp(size_));
}

void BufferBudget::Buffer::Shrink(size_t size) {
  assert(size <= size_);
  const size_t kept = RoundUp(size);
  const size_t taken = RoundUp(size_);
  size_ = size;
  if (kept < taken) budget_->Return(peer_, data_ + kept, taken - kept);
}

absl::StatusOr<std::shared_ptr<BufferBudget>> BufferBudget::Create(size_t limit_bytes) {
  assert(limit_bytes >= kMinLimitBytes);
  limit_bytes = RoundUp(limit_bytes);
  void* const memory = mmap(nullptr, limit_bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no address space for ", limit_bytes, " bytes of buffers"));
  }
  return std::shared_ptr<BufferBudget>(
      new BufferBudget(static_cast<std::byte*>(memory), limit_bytes));
}

BufferBudget::~BufferBudget() { munmap(memory_, limit_bytes_); }

std::optional<BufferBudget::Buffer> BufferBudget::Take(PeerId peer, size_t wanted, size_t least) {
  assert(least > 0 && least <= wanted);
  const MutexLock lock(mutex_);
  const auto found = held_.find(peer);
  const size_t held = found == held_.end() ? 0 : found->second;
  const size_t free = extents_.free_size();
  const size_t room = free > held ? free - held : 0;
  const size_t share = Share(room, wanted, least);
  if (RoundUp(least) > room) return std::nullopt;
  size_t size = share;
  std::optional<size_t> offset = extents_.Take(RoundUp(size));
  if (!offset) {  // Free memory lies in pieces.
    size = std::min(size, extents_.largest());
    if (size < least) return std::nullopt;
    offset = extents_.Take(RoundUp(size));
    if (!offset) return std::nullopt;
  }
  held_[peer] = held + RoundUp(size);
  recent_end_ = std::max(recent_end_, *offset + RoundUp(size));
  resident_end_ = std::max(resident_end_, recent_end_);
  return Buffer(shared_from_this(), peer, memory_ + *offset, size);
}

// With the default budget and chunks of 1 MiB: 32 messages whole, 64 of the middle size, then some
// 200 of the least.
size_t BufferBudget::Share(size_t room, size_t wanted, size_t least) const {
  size_t share = least;
  if (room >= limit_bytes_ / 2) {
    share = limit_bytes_ / 8;
  } else if (room >= limit_bytes_ / 4) {
    share = std::min(kMiddleBytes, limit_bytes_ / 16);
  }
  return std::clamp(share, least, wanted);
}

void BufferBudget::Return(PeerId peer, const std::byte* data, size_t size) {
  {
    const MutexLock lock(mutex_);
    extents_.Put(static_cast<size_t>(data - memory_), size);
    const auto held = held_.find(peer);
    held->second -= size;
    if (held->second == 0) held_.erase(held);
  }
  const MutexLock lock(listener_mutex_);
  if (listener_) listener_();
}

// Places are handed out from below, so that what lies behind the highest one was a burst.
void BufferBudget::ReleaseUnused() {
  size_t keep_end = 0;
  {
    const MutexLock lock(mutex_);
    keep_end = std::exchange(recent_end_, extents_.used_end());
  }
  while (true) {
    const MutexLock lock(mutex_);
    keep_end = std::max(keep_end, recent_end_);  // Somebody may have come in between.
    if (resident_end_ <= keep_end) return;
    const size_t size = std::min(kReleaseBytes, resident_end_ - keep_end);
    if (madvise(memory_ + resident_end_ - size, size, MADV_DONTNEED) != 0) return;
    resident_end_ -= size;
  }
}

size_t BufferBudget::resident_bytes() const {
  const MutexLock lock(mutex_);
  return resident_end_;
}

size_t BufferBudget::used_bytes() const {
  const MutexLock lock(mutex_);
  return limit_bytes_ - extents_.free_size();
}

void BufferBudget::SetListener(std::function<void()> listener) {
  const MutexLock lock(listener_mutex_);
  listener_ = std::move(listener);
}

}  // namespace tensord
