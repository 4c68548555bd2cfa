// Gathers by reading, where a file is not mapped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/chunk_cursor.h"
#include "src/served_file.h"

namespace tensord {

// Memory that ReadRuns works well with: enough that a read's own cost does not show, little enough
// that what was read is still in the processor's cache when it is gathered.
inline constexpr size_t kReadRunsScratchBytes = 64 << 10;

// Fills `destination`, at most cursor.remaining_bytes(), with the next result bytes of a tensor
// that begins at `tensor_offset_bytes` of `file`, and advances. Runs that lie close together are
// read at once into `scratch`, which may be empty; others one by one into the destination. May
// wait. Errors as ServedFile::Read.
absl::Status ReadRuns(const ServedFile& file, uint64_t tensor_offset_bytes, ChunkCursor& cursor,
                      absl::Span<std::byte> scratch, absl::Span<std::byte> destination);

}  // namespace tensord
