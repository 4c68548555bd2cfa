#include "server/frame_policy.h"

#include <algorithm>

namespace tensord {
namespace {

// What gRPC announces. Calls beyond it are paid for when they begin, those below when they are
// left.
constexpr size_t kAnnouncedStreams = 128;

}  // namespace

FramePolicy::~FramePolicy() {
  const MutexLock lock(mutex_);
  if (peer_ == nullptr || open_streams_.empty()) return;
  const size_t unpaid = std::min(open_streams_.size(), kAnnouncedStreams);
  peer_->TakeCancels(static_cast<double>(unpaid), Clock::now());
}

void FramePolicy::BelongsTo(std::shared_ptr<PeerAccount> peer) {
  const MutexLock lock(mutex_);
  peer_ = std::move(peer);
}

std::optional<CloseReason> FramePolicy::Received(absl::Span<const uint8_t> bytes,
                                                 Clock::time_point now) {
  const MutexLock lock(mutex_);
  inbound_.Read(bytes, [this, now](const FrameHeader& frame)
                           ABSL_NO_THREAD_SAFETY_ANALYSIS { Judge(frame, now); });
  return violation_;
}

void FramePolicy::Sent(absl::Span<const uint8_t> bytes, Clock::time_point now) {
  const MutexLock lock(mutex_);
  outbound_.Read(bytes, [this, now](const FrameHeader& frame) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const bool answers_ping = frame.type == FrameType::kPing && (frame.flags & kFlagAck) != 0;
    if (answers_ping && pings_unanswered_ > 0) --pings_unanswered_;
    const bool is_reset = frame.type == FrameType::kRstStream;
    const bool carries_end = frame.type == FrameType::kData || frame.type == FrameType::kHeaders;
    const bool ends = is_reset || (carries_end && (frame.flags & kFlagEndStream) != 0);
    // A reset without a status before it: a client can provoke that with frames that are wrong for
    // their stream, and it costs what a cancelled call costs.
    if (ends && open_streams_.erase(frame.stream) > 0 && is_reset) Cancelled(now);
  });
}

bool FramePolicy::has_begun() const {
  const MutexLock lock(mutex_);
  return inbound_.has_begun();
}

void FramePolicy::Judge(const FrameHeader& frame, Clock::time_point now) {
  switch (frame.type) {
    case FrameType::kHeaders:
      JudgeBegin(frame, now);
      return JudgeHeaderBlock(frame);
    case FrameType::kContinuation:
      return JudgeHeaderBlock(frame);
    case FrameType::kRstStream:
      open_streams_.erase(frame.stream);
      return Cancelled(now);
    case FrameType::kData:
      if (frame.payload_bytes > 0 || (frame.flags & kFlagEndStream) != 0) return;
      break;
    case FrameType::kPing:
      if ((frame.flags & kFlagAck) != 0) break;
      if (++pings_unanswered_ > limits_.max_pings_unanswered) Violates(CloseReason::kFrames);
      return;
    case FrameType::kWindowUpdate:  // Of a reader many; the bytes are counted.
      return;
    default:
      break;
  }
  if (!odd_frames_.Take(1, now)) Violates(CloseReason::kFrames);
}

void FramePolicy::JudgeBegin(const FrameHeader& frame, Clock::time_point now) {
  if (frame.stream <= last_stream_) return;
  last_stream_ = frame.stream;
  open_streams_.insert(frame.stream);
  const bool is_paid = open_streams_.size() <= kAnnouncedStreams || PeerPays(now);
  if (!is_paid || open_streams_.size() > limits_.max_open_streams) Violates(CloseReason::kStreams);
}

void FramePolicy::JudgeHeaderBlock(const FrameHeader& frame) {
  if (frame.type == FrameType::kHeaders) header_block_bytes_ = 0;
  header_block_bytes_ += FrameHeader::kSize + frame.payload_bytes;
  if (header_block_bytes_ > limits_.max_header_block_bytes) Violates(CloseReason::kHeaders);
  if ((frame.flags & kFlagEndHeaders) != 0) header_block_bytes_ = 0;
}

void FramePolicy::Cancelled(Clock::time_point now) {
  const bool is_paid = PeerPays(now);
  if (!cancels_.Take(1, now) || !is_paid) Violates(CloseReason::kCancels);
}

bool FramePolicy::PeerPays(Clock::time_point now) {
  return peer_ == nullptr || peer_->TakeCancels(1, now) || spare_cancels_.Take(1, now);
}

void FramePolicy::Violates(CloseReason reason) {
  if (!violation_) violation_ = reason;
}

}  // namespace tensord
