// Cuts a batch into pieces that several connections can bring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "tensord/read_request.h"

namespace tensord {

// Bytes [first, end) of what a request wants.
struct ReadPiece {
  size_t request = 0;
  uint64_t first = 0;
  std::optional<uint64_t> end;  // Absent: all that the request wants.

  bool IsWhole() const { return first == 0 && !end; }
};

// For each of up to `num_readers` readers its pieces, about as many bytes for each, in order of the
// requests; no list is empty, unless there are no requests. Cuts only where the destination is
// dense, because only then the size is known beforehand. One reader below kMinStripedBytes in all.
std::vector<std::vector<ReadPiece>> CutIntoPieces(absl::Span<const ReadRequest> requests,
                                                  size_t num_readers);

}  // namespace tensord
