#include "server/guard_log.h"

#include <utility>

#include "server/log.h"

namespace tensord {

void GuardLog::Report(CloseReason reason, const std::string& peer) {
  constexpr std::chrono::seconds kInterval(1);
  const size_t index = static_cast<size_t>(reason);
  const auto now = std::chrono::steady_clock::now();
  uint64_t suppressed = 0;
  {
    const MutexLock lock(mutex_);
    Line& line = lines_[index];
    if (line.last != decltype(line.last)() && now - line.last < kInterval) {
      ++line.suppressed;
      return;
    }
    line.last = now;
    suppressed = std::exchange(line.suppressed, 0);
  }
  LogWarning(
      "the guard closed a connection",
      {{"reason", std::string(kCloseReasons[index])}, {"peer", peer}, {"suppressed", suppressed}});
}

}  // namespace tensord
