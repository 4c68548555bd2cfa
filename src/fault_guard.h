// Keeps the process alive when a mapped file loses pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/types/span.h"

namespace tensord {

// Makes the process survive touching a page that a truncated or failing file no longer has, within
// ranges that are guarded: the page and all behind it become zeros, and the range is poisoned. A
// fault anywhere else goes to whoever handled SIGBUS before. Async-signal-safe; what it knows lies
// in a fixed table, because a handler may neither lock nor allocate. Once is enough; further calls
// do nothing.
void InstallFaultGuard();

// Touches each page of `bytes` if they lie in one guarded range, so that lost pages become zeros.
// True when there was one: then a system call that failed with EFAULT is worth repeating.
bool RepairGuarded(absl::Span<const std::byte> bytes);

// Faults in guarded ranges since the process began.
uint64_t NumGuardedFaults();

// A mapped range that the fault guard watches over. Must end before the range is unmapped. Moves,
// does not copy. Thread-safe.
//
// Zeros are never told from data by looking at them. So: read, or hand out, and then ask
// poisoned().
class GuardedRange {
 public:
  // Nothing when the table is full (kMaxGuardedRanges). `range` begins on a page and is not empty.
  static std::optional<GuardedRange> Guard(absl::Span<const std::byte> range);

  ~GuardedRange();
  GuardedRange(GuardedRange&& other) noexcept : slot_(std::exchange(other.slot_, kNoSlot)) {}
  GuardedRange& operator=(GuardedRange&& other) noexcept {
    std::swap(slot_, other.slot_);
    return *this;
  }

  // Whether any of the range's pages has been replaced by zeros. For good. One load.
  bool poisoned() const;

  // Replaces the pages that begin at or behind `size_bytes` by zeros, as a fault would; a file that
  // has shrunk to `size_bytes` has lost these. The rest of the last page is zero already. Poisons
  // also when there is no such page. False when the system refuses.
  bool Poison(size_t size_bytes) const;

 private:
  static constexpr size_t kNoSlot = ~size_t{0};

  explicit GuardedRange(size_t slot) : slot_(slot) {}

  size_t slot_;
};

// 65,530 mappings are what Linux allows a process by default (vm.max_map_count).
inline constexpr size_t kMaxGuardedRanges = 1 << 16;

}  // namespace tensord
