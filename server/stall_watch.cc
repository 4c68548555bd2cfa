#include "server/stall_watch.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"

namespace tensord {

using std::chrono::milliseconds;

StallWatch::StallWatch(ActiveStreams* streams, milliseconds timeout)
    : streams_(streams), timeout_(timeout) {
  if (timeout > milliseconds(0)) thread_ = std::thread([this] { Run(); });
}

StallWatch::~StallWatch() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void StallWatch::Run() {
  const absl::Status stalled = MakeError(
      ErrorReason::kStalled, absl::StrCat("the client took nothing for ", timeout_.count(), " ms"));
  const milliseconds interval = std::clamp(timeout_ / 8, milliseconds(1), milliseconds(1000));
  for (;;) {
    {
      const MutexLock lock(mutex_);
      const auto next = ActiveStreams::Clock::now() + interval;
      while (!stopping_ && changed_.wait_until(mutex_, next) == std::cv_status::no_timeout) {
      }
      if (stopping_) return;
    }
    streams_->CancelStalled(ActiveStreams::Clock::now() - timeout_, stalled);
  }
}

}  // namespace tensord
