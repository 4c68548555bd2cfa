#include "server/repeat_filter.h"

namespace tensord {

std::optional<uint64_t> RepeatFilter::Admit(uint64_t hash, Clock::time_point now) {
  const MutexLock lock(mutex_);
  Line& line = lines_[hash % lines_.size()];
  const bool is_known = line.hash == hash && line.passed != Clock::time_point();
  if (is_known && now - line.passed < kPause) {
    ++line.num_held_back;
    return std::nullopt;
  }
  const uint64_t num_held_back = is_known ? line.num_held_back : 0;
  line = {hash, now, 0};
  return num_held_back;
}

}  // namespace tensord
