#include "server/read_ahead.h"

#include <algorithm>

namespace tensord {

void ReadAhead::Missed(const ServedFile& file, const FileRange& range) {
  const uint64_t end = range.offset_bytes + range.size_bytes;
  const bool is_on_its_way = range.offset_bytes < asked_end_ && asked_end_ <= end + kReachBytes;
  if (&file == file_ && (is_on_its_way || range.offset_bytes == asked_end_)) {
    asked_end_ = std::max(asked_end_, end);
    return;
  }
  file_ = &file;
  asked_end_ = end;
  window_bytes_ = kFirstWindowBytes;
  has_more_ = true;
}

bool ReadAhead::IsDue(const ServedFile& file, const FileRange& range) const {
  const uint64_t end = range.offset_bytes + range.size_bytes;
  return Follows(file) && asked_end_ < end + window_bytes_;
}

FileRange ReadAhead::Next(const FileRange& range, uint64_t wanted_end) {
  const uint64_t begin = std::max(asked_end_, range.offset_bytes + range.size_bytes);
  const uint64_t end = std::max(begin, std::min(wanted_end, begin + window_bytes_));
  asked_end_ = end;
  window_bytes_ = std::min(2 * window_bytes_, kMaxWindowBytes);
  has_more_ = wanted_end > end;
  return {begin, end - begin};
}

}  // namespace tensord
