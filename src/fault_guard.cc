#include "src/fault_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <mutex>
#include <vector>

#include "src/mutex.h"

namespace tensord {
namespace {

// A guarded range, or none while `end` is 0. A fault in the range means that a thread uses it, so
// that it stays guarded until the handler is done; only other slots may change meanwhile.
struct Slot {
  std::atomic<uintptr_t> begin = 0;
  std::atomic<uintptr_t> end = 0;
  std::atomic<bool> poisoned = false;
};
static_assert(std::atomic<uintptr_t>::is_always_lock_free);

// The handler has no other way to its data. 1.5 MiB of address space, of which only used pages
// exist.
std::array<Slot, kMaxGuardedRanges> slots;
std::atomic<size_t> num_used = 0;  // Slots from here on were never used.
std::atomic<uint64_t> num_faults = 0;
struct sigaction previous;

class FreeSlots {
 public:
  std::optional<size_t> Take() {
    const MutexLock lock(mutex_);
    if (!free_.empty()) {
      const size_t slot = free_.back();
      free_.pop_back();
      return slot;
    }
    const size_t next = num_used;
    if (next == slots.size()) return std::nullopt;
    num_used = next + 1;
    return next;
  }

  void Return(size_t slot) {
    const MutexLock lock(mutex_);
    free_.push_back(slot);
  }

 private:
  Mutex mutex_;
  std::vector<size_t> free_ ABSL_GUARDED_BY(mutex_);
};

FreeSlots& Free() {
  static FreeSlots* const free = new FreeSlots;  // Never destroyed: mappings may outlive main.
  return *free;
}

uintptr_t PageBytes() {
  static const auto bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// Lays zeros over the pages of [begin, end). Poisons first: who sees a zero sees the poison too.
bool ReplaceByZeros(Slot& slot, uintptr_t begin, uintptr_t end) {
  slot.poisoned = true;
  if (begin >= end) return true;
  return mmap(reinterpret_cast<void*>(begin), end - begin, PROT_READ,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

// The slot whose range holds the address; null when none does. What is found stays only if somebody
// uses the range.
Slot* FindSlot(uintptr_t address) {
  const size_t count = num_used;
  for (size_t i = 0; i < count; ++i) {
    const uintptr_t end = slots[i].end;
    const uintptr_t begin = slots[i].begin;
    // A slot that changes hands between the loads holds another mapping, where `address` is not.
    if (address >= begin && address < end && slots[i].end == end) return &slots[i];
  }
  return nullptr;
}

// Replaces the lost page and all behind it. False for an address that is not ours.
bool Repair(uintptr_t address) {
  Slot* const slot = FindSlot(address);
  if (slot == nullptr) return false;
  ++num_faults;
  return ReplaceByZeros(*slot, address & ~(PageBytes() - 1), slot->end);
}

void PassOn(int signal_number, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal_number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal_number);
  } else if (info->si_code > 0 || previous.sa_handler == SIG_DFL) {
    // Returning repeats the faulting instruction, and now it ends the process as it always did.
    signal(SIGBUS, SIG_DFL);
    if (info->si_code <= 0) raise(SIGBUS);  // Sent by somebody: nothing would repeat it.
  }
}

void HandleFault(int signal_number, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  // A code above 0 comes from the kernel, and only then is there an address.
  const bool is_repaired = info->si_code > 0 && Repair(reinterpret_cast<uintptr_t>(info->si_addr));
  if (!is_repaired) PassOn(signal_number, info, context);
  errno = saved_errno;
}

}  // namespace

void InstallFaultGuard() {
  static std::once_flag once;
  std::call_once(once, [] {
    PageBytes();  // Not first in the handler: a static's first use locks.
    struct sigaction action = {};
    action.sa_sigaction = &HandleFault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, nullptr, &previous);  // Known before the first fault can need it.
    sigaction(SIGBUS, &action, nullptr);
  });
}

bool RepairGuarded(absl::Span<const std::byte> bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  const Slot* const slot = FindSlot(begin);
  if (slot == nullptr || bytes.size() > slot->end - begin) return false;
  const uint64_t faults = num_faults;
  const volatile std::byte* const data = bytes.data();
  for (size_t at = 0; at < bytes.size(); at += PageBytes() - (begin + at) % PageBytes()) {
    static_cast<void>(data[at]);
  }
  // Another thread may have been faster, and then the pages are there as well.
  return num_faults != faults || slot->poisoned;
}

uint64_t NumGuardedFaults() { return num_faults; }

std::optional<GuardedRange> GuardedRange::Guard(absl::Span<const std::byte> range) {
  const std::optional<size_t> slot = Free().Take();
  if (!slot) return std::nullopt;
  const auto begin = reinterpret_cast<uintptr_t>(range.data());
  assert(!range.empty() && begin % PageBytes() == 0);
  slots[*slot].poisoned = false;
  slots[*slot].begin = begin;
  // Up to the end of the last page, which is mapped as a whole. Last, because it opens the slot.
  slots[*slot].end = begin + (range.size() + PageBytes() - 1) / PageBytes() * PageBytes();
  return GuardedRange(*slot);
}

GuardedRange::~GuardedRange() {
  if (slot_ == kNoSlot) return;
  slots[slot_].end = 0;
  Free().Return(slot_);
}

bool GuardedRange::poisoned() const { return slots[slot_].poisoned; }

bool GuardedRange::Poison(size_t size_bytes) const {
  Slot& slot = slots[slot_];
  const uintptr_t end = slot.end;
  const uintptr_t kept = (size_bytes + PageBytes() - 1) / PageBytes() * PageBytes();
  return ReplaceByZeros(slot, kept < end - slot.begin ? slot.begin + kept : end, end);
}

}  // namespace tensord
