// The memory of all messages that are put together here: gathered, coalesced, read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "server/active_streams.h"
#include "server/extent_pool.h"
#include "src/mutex.h"

namespace tensord {

// One range of memory, out of which messages get their buffers: so that it is the bound, however
// sizes mix, and used memory is used again. Thread-safe. Buffers keep it alive, because gRPC may
// hold some for longer than the server lives.
class BufferBudget : public std::enable_shared_from_this<BufferBudget> {
 public:
  // Memory from the budget, returned when it dies. Moves only; an empty one has size 0.
  class Buffer {
   public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept { *this = std::move(other); }
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer();

    std::byte* data() const { return data_; }
    size_t size() const { return size_; }

    // Returns what lies beyond the first `size` <= size() bytes.
    void Shrink(size_t size);

   private:
    friend class BufferBudget;
    Buffer(std::shared_ptr<BufferBudget> budget, PeerId peer, std::byte* data, size_t size)
        : budget_(std::move(budget)), peer_(peer), data_(data), size_(size) {}

    std::shared_ptr<BufferBudget> budget_;  // Null when empty.
    PeerId peer_ = 0;
    std::byte* data_ = nullptr;
    size_t size_ = 0;
  };

  // Smaller budgets would not hold the least buffers of a few streams.
  static constexpr size_t kMinLimitBytes = 4 << 20;

  // `limit_bytes` >= kMinLimitBytes of address space; memory is used as buffers are.
  // Errors: RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::shared_ptr<BufferBudget>> Create(size_t limit_bytes);
  ~BufferBudget();

  // A buffer of `wanted` bytes for a message to `peer`; as the budget fills, less, down to `least`
  // (0 < least <= wanted); nullopt when not even that is there.
  //
  // A peer may hold as much as it leaves free: one alone half of the budget, n of them each
  // 1/(n+1), so that there always is something for the next one.
  std::optional<Buffer> Take(PeerId peer, size_t wanted, size_t least);

  // Gives pages back to the system that no buffer has used since the last call: what a burst took
  // goes when it is over, while what is in steady use stays. To be called now and then.
  void ReleaseUnused();

  size_t used_bytes() const;
  // Of memory that has been used and not been given back to the system.
  size_t resident_bytes() const;

  // Called whenever memory has come back, deep inside gRPC: `listener` must be quick and not call
  // back. Null: nobody; returns once no call is running.
  void SetListener(std::function<void()> listener);

 private:
  BufferBudget(std::byte* memory, size_t limit_bytes)
      : memory_(memory), limit_bytes_(limit_bytes), extents_(limit_bytes) {}

  // What a message may take where its peer could get `room`.
  size_t Share(size_t room, size_t wanted, size_t least) const;
  void Return(PeerId peer, const std::byte* data, size_t size);

  std::byte* const memory_;
  const size_t limit_bytes_;
  mutable Mutex mutex_;
  ExtentPool extents_ ABSL_GUARDED_BY(mutex_);
  // No page from here on is resident.
  size_t resident_end_ ABSL_GUARDED_BY(mutex_) = 0;
  // No buffer has lain behind this since the last ReleaseUnused.
  size_t recent_end_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<PeerId, size_t> held_ ABSL_GUARDED_BY(mutex_);  // Of peers that hold any.
  Mutex listener_mutex_;
  std::function<void()> listener_ ABSL_GUARDED_BY(listener_mutex_);
};

}  // namespace tensord
