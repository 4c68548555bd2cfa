#include "server/peer_account.h"

#include <algorithm>

namespace tensord {

bool PeerAccount::TakeCancels(double count, Clock::time_point now) {
  const MutexLock lock(mutex_);
  if (cancels_.Take(count, now)) return true;
  cancels_.Empty();
  Forget(now);
  excesses_ = std::min(excesses_ + 1, limits_.max_peer_excesses);
  return false;
}

bool PeerAccount::TakeRequestBytes(uint64_t count) {
  const MutexLock lock(mutex_);
  request_bytes_ += count;
  return request_bytes_ <= limits_.peer_request_bytes;
}

void PeerAccount::ReturnRequestBytes(uint64_t count) {
  const MutexLock lock(mutex_);
  request_bytes_ -= count;
}

PeerAccount::Clock::time_point PeerAccount::NextStart(Clock::time_point now) {
  const MutexLock lock(mutex_);
  Forget(now);
  if (excesses_ <= 0) return now;
  const auto pause =
      std::chrono::duration_cast<Clock::duration>(limits_.pause_per_excess * excesses_);
  // Whoever dials and leaves, again and again, must not push the start of others away for ever.
  last_start_ = std::min(std::max(last_start_, now) + pause, now + limits_.longest_pause);
  return last_start_;
}

void PeerAccount::Forget(Clock::time_point now) {
  const std::chrono::duration<double> passed = now - since_;
  since_ = std::max(since_, now);
  excesses_ = std::max(0.0, excesses_ - std::max(0.0, passed.count()));
}

}  // namespace tensord
