#include "server/log_sink.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace tensord {

void LogSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  if (is_torn_) line.push_back('\n');
  formatter_->format(message, line);
  if (!Write(absl::string_view(line.data(), line.size()))) ++num_lost_;
}

bool LogSink::Write(absl::string_view text) {
  const size_t size = text.size();
  while (!text.empty()) {
    // A pipe that is writable takes as much as this without a wait.
    constexpr size_t kMaxPieceBytes = PIPE_BUF;
    pollfd polled{fd_, POLLOUT, 0};
    const int found = poll(&polled, 1, is_stalled_ ? 0 : kPatienceMs);
    if (found < 0 && errno == EINTR) continue;
    is_stalled_ = found <= 0;
    const ssize_t written =
        is_stalled_ ? -1 : write(fd_, text.data(), std::min(text.size(), kMaxPieceBytes));
    if (written < 0 && !is_stalled_ && errno == EINTR) continue;
    if (written < 0) {
      is_torn_ = is_torn_ || text.size() < size;
      return false;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  is_torn_ = false;
  return true;
}

}  // namespace tensord
