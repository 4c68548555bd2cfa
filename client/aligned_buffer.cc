#include <sys/mman.h>

#include <cstdlib>
#include <limits>

#include "absl/strings/str_cat.h"
#include "tensord/tensor_data.h"

namespace tensord {
namespace {

constexpr size_t kAlignment = 64;
// The size of a huge page on x86-64 and most ARM systems. Smaller buffers come from the heap, whose
// pages are likely to be faulted in already.
constexpr size_t kHugePage = 2 << 20;

size_t RoundUp(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

// Maps fresh pages that begin on a huge page: unaligned ones would lose up to two huge pages to
// small faults. Null when there is no memory.
std::byte* MapHuge(size_t size) {
  const size_t reserved = size + kHugePage;
  void* address =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(address);
  auto* aligned =
      reinterpret_cast<std::byte*>(RoundUp(reinterpret_cast<uintptr_t>(address), kHugePage));
  if (aligned > begin) munmap(begin, static_cast<size_t>(aligned - begin));
  const auto tail = static_cast<size_t>(begin + reserved - (aligned + size));
  if (tail > 0) munmap(aligned + size, tail);
  madvise(aligned, size,
          MADV_HUGEPAGE);  // A wish: without it the pages are merely slower to fault.
  return aligned;
}

}  // namespace

absl::StatusOr<AlignedBuffer> AlignedBuffer::Allocate(uint64_t size_bytes) {
  AlignedBuffer buffer;
  if (size_bytes == 0) return buffer;
  if (size_bytes <= std::numeric_limits<size_t>::max() / 2) {
    const bool huge = size_bytes >= kHugePage;
    const size_t rounded = RoundUp(size_bytes, huge ? kHugePage : kAlignment);
    std::byte* data =
        huge ? MapHuge(rounded) : static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded));
    buffer.data_ = {data, Free{huge ? rounded : 0}};
    buffer.size_ = size_bytes;
  }
  if (buffer.data_ == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a tensor of ", size_bytes, " bytes"));
  }
  return buffer;
}

void AlignedBuffer::Free::operator()(std::byte* data) const {
  if (mapped_bytes > 0) {
    munmap(data, mapped_bytes);
  } else {
    std::free(data);
  }
}

}  // namespace tensord
