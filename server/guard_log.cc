#include "server/guard_log.h"

#include <utility>

#include "server/log.h"

namespace tensord {

std::optional<uint64_t> GuardLog::Admit(size_t kind) {
  constexpr std::chrono::seconds kInterval(1);
  const auto now = std::chrono::steady_clock::now();
  const MutexLock lock(mutex_);
  Line& line = lines_[kind];
  if (line.last != decltype(line.last)() && now - line.last < kInterval) {
    ++line.suppressed;
    return std::nullopt;
  }
  line.last = now;
  return std::exchange(line.suppressed, 0);
}

void GuardLog::Closed(CloseReason reason, const std::string& peer, const std::string& error) {
  const size_t index = static_cast<size_t>(reason);
  const std::optional<uint64_t> suppressed = Admit(index);
  if (!suppressed) return;
  const LogField why{"reason", std::string(kCloseReasons[index])};
  const LogField who{"peer", peer};
  const LogField others{"suppressed", *suppressed};
  // Here the client is at fault, or the certificates are; what the guard closes is an attack.
  if (reason == CloseReason::kHandshake && !error.empty()) {
    return LogWarning("a TLS handshake failed", {why, who, {"error", error}, others});
  }
  LogWarning("the guard closed a connection", {why, who, others});
}

void GuardLog::Refused(AcceptResult result, const std::string& peer) {
  const size_t index = static_cast<size_t>(result);
  const std::optional<uint64_t> suppressed = Admit(kCloseReasons.size() + index);
  if (!suppressed) return;
  LogWarning("a connection is refused", {{"reason", std::string(kAcceptResults[index])},
                                         {"peer", peer},
                                         {"suppressed", *suppressed}});
}

}  // namespace tensord
