// What the connection guard has done, for metrics.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

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

// The connections of one listener. Thread-safe.
class ListenerCounters {
 public:
  explicit ListenerCounters(std::string address) : address_(std::move(address)) {}

  const std::string& address() const { return address_; }

  void Offered(AcceptResult result) { ++offered_[static_cast<size_t>(result)]; }
  uint64_t offered(AcceptResult result) const { return offered_[static_cast<size_t>(result)]; }

  void Opened() { ++open_; }
  void Ended() { --open_; }
  uint64_t open() const { return open_; }

 private:
  const std::string address_;
  std::array<std::atomic<uint64_t>, kAcceptResults.size()> offered_{};
  std::atomic<uint64_t> open_ = 0;
};

// Thread-safe but for AddListener.
class GuardCounters {
 public:
  // Before anything is counted. The reference is good as long as the object.
  ListenerCounters& AddListener(std::string address) {
    return listeners_.emplace_back(std::move(address));
  }
  const std::deque<ListenerCounters>& listeners() const { return listeners_; }

  void Closed(CloseReason reason) { ++closed_[static_cast<size_t>(reason)]; }
  uint64_t closed(CloseReason reason) const { return closed_[static_cast<size_t>(reason)]; }

 private:
  std::deque<ListenerCounters> listeners_;
  std::array<std::atomic<uint64_t>, kCloseReasons.size()> closed_{};
};

}  // namespace tensord
