#include "server/stall_watch.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"

namespace tensord {

using std::chrono::milliseconds;

StallWatch::StallWatch(ActiveStreams* streams, milliseconds timeout) {
  if (timeout <= milliseconds(0)) return;
  const absl::Status stalled = MakeError(
      ErrorReason::kStalled, absl::StrCat("the client took nothing for ", timeout.count(), " ms"));
  const milliseconds interval = std::clamp(timeout / 8, milliseconds(1), milliseconds(1000));
  ticker_.emplace(interval, [streams, timeout, stalled] {
    streams->CancelStalled(ActiveStreams::Clock::now() - timeout, stalled);
  });
}

}  // namespace tensord
