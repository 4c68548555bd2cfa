#include "client/read_pieces.h"

#include <algorithm>
#include <utility>

#include "client/connections.h"
#include "src/checked_math.h"

namespace tensord {
namespace {

// Parts begin at multiples of a huge page, so that no two readers fault in the same one.
constexpr uint64_t kAlignment = 2 << 20;

// What a destination of padded rows takes is a good guess too.
uint64_t SizeOf(const ReadRequest& request) { return request.destination.bytes.size(); }

bool CanBeCut(const ReadRequest& request) {
  const uint64_t offset = request.range ? request.range->offset : 0;
  return request.destination.byte_strides.empty() &&
         CheckedAdd(offset, SizeOf(request)).has_value();
}

std::vector<ReadPiece> WholeRequests(size_t count) {
  std::vector<ReadPiece> pieces(count);
  for (size_t i = 0; i < count; ++i) pieces[i].request = i;
  return pieces;
}

}  // namespace

std::vector<std::vector<ReadPiece>> CutIntoPieces(absl::Span<const ReadRequest> requests,
                                                  size_t num_readers) {
  uint64_t total = 0;
  for (const ReadRequest& request : requests) {
    const auto sum = CheckedAdd(total, SizeOf(request));
    if (!sum) return {WholeRequests(requests.size())};  // No memory is so large.
    total = *sum;
  }
  if (num_readers < 2 || total < kMinStripedBytes) return {WholeRequests(requests.size())};

  const uint64_t share = (total / num_readers / kAlignment + 1) * kAlignment;
  std::vector<std::vector<ReadPiece>> lists(1);
  uint64_t room = share;  // Of the last list.
  for (size_t i = 0; i < requests.size(); ++i) {
    uint64_t first = 0;
    const uint64_t size = SizeOf(requests[i]);
    while (CanBeCut(requests[i]) && size - first > room) {
      lists.back().push_back({i, first, first + room});
      first += room;
      lists.emplace_back();
      room = share;
    }
    const auto end = first > 0 ? std::optional<uint64_t>(size) : std::nullopt;
    lists.back().push_back({i, first, end});
    room -= std::min(room, size - first);
    if (room == 0 && i + 1 < requests.size()) {
      lists.emplace_back();
      room = share;
    }
  }
  return lists;
}

}  // namespace tensord
