// Ends streams whose clients have stopped reading.
#pragma once

#include <chrono>
#include <optional>

#include "server/active_streams.h"
#include "server/ticker.h"

namespace tensord {

// Looks at all streams now and then, for as long as the object lives.
class StallWatch {
 public:
  // Ends with STALLED each of `streams`, which must outlive the watch, that has waited for its
  // client longer than `timeout`; up to an eighth later, or a second. 0: never.
  StallWatch(ActiveStreams* streams, std::chrono::milliseconds timeout);

 private:
  std::optional<Ticker> ticker_;
};

}  // namespace tensord
