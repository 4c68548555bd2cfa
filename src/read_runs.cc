#include "src/read_runs.h"

#include <algorithm>

#include "src/status_macros.h"

namespace tensord {
namespace {

// Bytes that are read in vain to save one more read: both take about half a microsecond.
constexpr uint64_t kWorthABreakBytes = 8 << 10;

// How many of the next result bytes to read at once: `first` alone, or as many times of it as
// `scratch_bytes` hold, where these lie close together.
uint64_t BytesTogether(const ChunkCursor& cursor, const ChunkCursor::Run& first,
                       uint64_t wanted_bytes, uint64_t scratch_bytes) {
  uint64_t together = first.size_bytes;
  while (together < wanted_bytes) {
    const uint64_t more = std::min(2 * together, wanted_bytes);
    const uint64_t hull_bytes = cursor.Hull(more).size_bytes;
    const uint64_t num_breaks = more / first.size_bytes;
    if (hull_bytes > scratch_bytes || hull_bytes > more + num_breaks * kWorthABreakBytes) break;
    together = more;
  }
  return together;
}

}  // namespace

absl::Status ReadRuns(const ServedFile& file, uint64_t tensor_offset_bytes, ChunkCursor& cursor,
                      absl::Span<std::byte> scratch, absl::Span<std::byte> destination) {
  while (!destination.empty()) {
    const ChunkCursor::Run first = cursor.NextRun(destination.size());
    const uint64_t size = BytesTogether(cursor, first, destination.size(), scratch.size());
    const absl::Span<std::byte> filled = destination.first(size);
    if (size == first.size_bytes) {
      TENSORD_RETURN_IF_ERROR(file.Read(tensor_offset_bytes + first.offset_bytes, filled));
      cursor.Skip(size);
    } else {
      const ChunkCursor::Run hull = cursor.Hull(size);
      const absl::Span<std::byte> read = scratch.first(hull.size_bytes);
      TENSORD_RETURN_IF_ERROR(file.Read(tensor_offset_bytes + hull.offset_bytes, read));
      cursor.Gather(read, hull.offset_bytes, filled);
    }
    destination.remove_prefix(size);
  }
  return absl::OkStatus();
}

}  // namespace tensord
