#include "server/read_ahead.h"

#include <algorithm>

namespace tensord {

bool ReadAhead::IsDue(const ServedFile& file, const FileRange& range) const {
  // Asked again while half of the window is left, so that the disk never pauses.
  if (&file == file_ && has_more_ && IsLow(file, range)) return true;
  return !file.IsInMemory(range.offset_bytes, range.size_bytes);
}

bool ReadAhead::IsLow(const ServedFile& file, const FileRange& range) const {
  const uint64_t end = range.offset_bytes + range.size_bytes;
  if (&file != file_ || end > asked_end_ || asked_end_ > end + 2 * kWindowBytes) return true;
  return has_more_ && end + kWindowBytes / 2 > asked_end_;
}

void ReadAhead::Fetch(const ServedFile& file, const FileRange& range, uint64_t wanted_end) {
  const uint64_t end = range.offset_bytes + range.size_bytes;
  const bool follows =
      &file == file_ && asked_end_ >= range.offset_bytes && asked_end_ <= end + kWindowBytes;
  const uint64_t begin = follows ? asked_end_ : range.offset_bytes;
  const uint64_t stop = std::max(end, std::min(wanted_end, end + kWindowBytes));
  file_ = &file;
  if (stop > begin) file.ReadAhead(begin, stop - begin);
  asked_end_ = std::max(begin, stop);
  has_more_ = wanted_end > asked_end_;
}

}  // namespace tensord
