#include "server/watched_connection.h"

#include <algorithm>
#include <utility>

#include "absl/functional/function_ref.h"
#include "server/socket_facts.h"

namespace tensord {
namespace {

using Piece = absl::Span<uint8_t>;

void ForEachPiece(absl::Span<const iovec> pieces, size_t num_bytes,
                  absl::FunctionRef<void(Piece)> visit) {
  for (const iovec& piece : pieces) {
    const size_t size = std::min(piece.iov_len, num_bytes);
    if (size == 0 && num_bytes == 0) return;
    visit(Piece(static_cast<uint8_t*>(piece.iov_base), size));
    num_bytes -= size;
  }
}

}  // namespace

WatchedConnection::WatchedConnection(std::shared_ptr<GuardContext> context, Facts facts,
                                     Clock::time_point now)
    : context_(std::move(context)),
      facts_(std::move(facts)),
      begun_(now),
      frames_(facts_.is_encrypted
                  ? nullptr
                  : std::make_unique<FramePolicy>(context_->limits, now, facts_.account)),
      inbound_(static_cast<double>(context_->limits.inbound_burst_bytes),
               static_cast<double>(context_->limits.inbound_bytes_per_second), now) {}

bool WatchedConnection::Received(int fd, absl::Span<const iovec> pieces, size_t num_bytes,
                                 Clock::time_point now) {
  has_spoken_ = true;
  std::optional<CloseReason> reason;
  if (!Allows(fd, num_bytes, now)) reason = CloseReason::kInboundRate;
  if (frames_ != nullptr) {
    ForEachPiece(pieces, num_bytes, [&](Piece piece) {
      const std::optional<CloseReason> found = frames_->Received(piece, now);
      if (!reason) reason = found;
    });
    if (frames_->is_crowded() && context_->crowded) context_->crowded();
  }
  if (reason) Close(*reason);
  return !closed_;
}

void WatchedConnection::Sent(absl::Span<const iovec> pieces, size_t num_bytes,
                             Clock::time_point now) {
  sent_bytes_ += num_bytes;
  if (frames_ == nullptr) return;
  ForEachPiece(pieces, num_bytes, [&](Piece piece) { frames_->Sent(piece, now); });
}

bool WatchedConnection::HasExpired(Clock::time_point now) {
  // Encrypted ones that have spoken are gRPC's to time: it knows when the handshake is over.
  if (has_begun()) return false;
  if (now - begun_ < context_->limits.handshake_timeout) return false;
  Close(CloseReason::kHandshake);
  return true;
}

void WatchedConnection::FailedHandshake(const std::string& error) {
  Close(CloseReason::kHandshake, error);
}

void WatchedConnection::Gone() {
  const bool is_over = !facts_.is_encrypted || has_finished_handshake_ || has_session_;
  // Who only connects is looking whether the port is open.
  if (is_over || !has_spoken_) return;
  Close(CloseReason::kHandshake, "the connection ended before the TLS handshake did");
}

bool WatchedConnection::Allows(int fd, size_t num_bytes, Clock::time_point now) {
  const MutexLock lock(mutex_);
  if (inbound_.Take(static_cast<double>(num_bytes), now)) return true;
  // Asked only where it matters, because it is a system call.
  const uint64_t acknowledged = AcknowledgedBytes(fd, facts_.is_unix, sent_bytes_);
  const uint64_t fresh = acknowledged - std::min(acknowledged, credited_bytes_);
  credited_bytes_ += fresh;
  return inbound_.Add(static_cast<double>(fresh) * context_->limits.inbound_share_of_acknowledged);
}

void WatchedConnection::Close(CloseReason reason, const std::string& error) {
  if (closed_.exchange(true)) return;
  context_->counters.Closed(reason);
  if (context_->report) context_->report(reason, facts_.peer, error);
}

}  // namespace tensord
