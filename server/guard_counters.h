// What the connection guard has done, for metrics.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace tensord {

// Why a connection was closed.
enum class CloseReason { kInboundRate, kCancels, kHeaders, kStreams, kFrames, kHandshake };
inline constexpr std::array<absl::string_view, 6> kCloseReasons = {
    "inbound_rate", "cancels", "headers", "streams", "frames", "handshake"};

// What became of a connection that a listener was offered.
enum class AcceptResult { kAccepted, kLimit, kPeerLimit, kUid, kFdExhausted };
inline constexpr std::array<absl::string_view, 5> kAcceptResults = {
    "accepted", "limit", "peer_limit", "uid", "fd_exhausted"};

// Thread-safe.
class GuardCounters {
 public:
  void Closed(CloseReason reason) { ++closed_[static_cast<size_t>(reason)]; }
  uint64_t closed(CloseReason reason) const { return closed_[static_cast<size_t>(reason)]; }

  void Offered(AcceptResult result) { ++offered_[static_cast<size_t>(result)]; }
  uint64_t offered(AcceptResult result) const { return offered_[static_cast<size_t>(result)]; }

 private:
  std::array<std::atomic<uint64_t>, kCloseReasons.size()> closed_{};
  std::array<std::atomic<uint64_t>, kAcceptResults.size()> offered_{};
};

}  // namespace tensord
