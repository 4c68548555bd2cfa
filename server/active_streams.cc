#include "server/active_streams.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "src/error.h"

namespace tensord {
namespace {

// About what a stream of some hundred MiB takes.
constexpr char kRetryMs[] = "1000";

// For the streams that the end of the grace has cancelled: they only need a thread to say so.
constexpr std::chrono::milliseconds kCancelGrace(100);

absl::Status TooMany(absl::string_view whose, size_t limit) {
  return MakeError(ErrorReason::kTooManyStreams,
                   absl::StrCat(whose, " has ", limit, " running streams, which is the limit"),
                   {{"retry_ms", kRetryMs}});
}

absl::Status Draining() {
  return MakeError(ErrorReason::kDraining, "the server is shutting down; try another one");
}

}  // namespace

absl::StatusOr<ActiveStreams::Token> ActiveStreams::Begin(absl::string_view peer, Cancel cancel) {
  const MutexLock lock(mutex_);
  if (draining_) return Draining();
  if (streams_.size() >= limits_.max_streams) return TooMany("the server", limits_.max_streams);
  auto found = peers_.find(peer);
  if (found == peers_.end()) {
    found = peers_.emplace(std::string(peer), Peer{++last_peer_, 0}).first;
  } else if (found->second.num_streams >= limits_.max_streams_per_peer) {
    return TooMany("this connection", limits_.max_streams_per_peer);
  }
  ++found->second.num_streams;
  Stream& stream = streams_.emplace_front();
  stream.peer_id = found->second.id;
  stream.peer = found;
  stream.cancel = std::move(cancel);
  return Token(this, streams_.begin());
}

size_t ActiveStreams::Drain(Clock::time_point deadline) {
  size_t num_running = 0;
  {
    const MutexLock lock(mutex_);
    draining_ = true;
    num_running = streams_.size();
    if (WaitUntilEmpty(deadline)) return num_running;
    // What is marked as waiting is what CancelStalled takes.
    for (Stream& stream : streams_) stream.waits_since = 1;
  }
  CancelStalled(Clock::now(), Draining());
  const MutexLock lock(mutex_);
  WaitUntilEmpty(Clock::now() + kCancelGrace);
  return num_running;
}

size_t ActiveStreams::CancelStalled(Clock::time_point since, const absl::Status& status) {
  std::vector<Cancel> cancels;
  {
    const MutexLock lock(mutex_);
    for (Stream& stream : streams_) {
      Clock::rep waits_since = stream.waits_since;
      if (waits_since == 0 || waits_since >= since.time_since_epoch().count()) continue;
      // Not if it has proceeded in between. And only once.
      if (!stream.waits_since.compare_exchange_strong(waits_since, 0)) continue;
      cancels.push_back(stream.cancel);
    }
  }
  // The stream may end, and its token with it, within the call.
  for (const Cancel& cancel : cancels) cancel(status);
  return cancels.size();
}

size_t ActiveStreams::size() const {
  const MutexLock lock(mutex_);
  return streams_.size();
}

absl::Status ActiveStreams::CheckNotDraining() const {
  const MutexLock lock(mutex_);
  return draining_ ? Draining() : absl::OkStatus();
}

void ActiveStreams::LeavePeer(Stream& stream) {
  const MutexLock lock(mutex_);
  LeavePeerLocked(stream);
}

void ActiveStreams::LeavePeerLocked(Stream& stream) {
  if (stream.peer == peers_.end()) return;
  if (--stream.peer->second.num_streams == 0) peers_.erase(stream.peer);
  stream.peer = peers_.end();
}

void ActiveStreams::End(Streams::iterator stream) {
  Streams ended;  // Destroyed without the lock: its canceller may free the call.
  const MutexLock lock(mutex_);
  LeavePeerLocked(*stream);
  ended.splice(ended.begin(), streams_, stream);
  if (streams_.empty()) ended_.notify_all();
}

bool ActiveStreams::WaitUntilEmpty(Clock::time_point deadline) {
  while (!streams_.empty()) {
    if (ended_.wait_until(mutex_, deadline) == std::cv_status::timeout) return streams_.empty();
  }
  return true;
}

}  // namespace tensord
