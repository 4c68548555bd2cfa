#include "server/frame_policy.h"

#include <algorithm>
#include <utility>

namespace tensord {
namespace {

// What gRPC announces. Calls beyond it are paid for when they begin, those below when they are
// left.
constexpr size_t kAnnouncedStreams = 128;

}  // namespace

FramePolicy::~FramePolicy() {
  const MutexLock lock(mutex_);
  if (peer_ == nullptr || open_calls_.empty()) return;
  peer_->ReturnRequestBytes(request_bytes_);
  const size_t unpaid = std::min(open_calls_.size(), kAnnouncedStreams);
  peer_->TakeCancels(static_cast<double>(unpaid), Clock::now());
}

void FramePolicy::BelongsTo(std::shared_ptr<PeerAccount> peer) {
  const MutexLock lock(mutex_);
  peer_ = std::move(peer);
  if (peer_ != nullptr) peer_->TakeRequestBytes(request_bytes_);
}

std::optional<CloseReason> FramePolicy::Received(absl::Span<uint8_t> bytes, Clock::time_point now) {
  const MutexLock lock(mutex_);
  inbound_.Read(
      bytes,
      [this, now](const FrameHeader& frame) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        if (frame.type == FrameType::kSettings) window_limit_.Begin();
        Judge(frame, now);
      },
      [this, bytes](const FrameHeader& frame, size_t begin, size_t size)
          ABSL_NO_THREAD_SAFETY_ANALYSIS {
            if (frame.type != FrameType::kSettings) return;
            window_limit_.Apply(bytes.subspan(begin, size));
          });
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
    if (ends) {
      if (Ended(frame.stream) && is_reset) Cancelled(now);
    } else if (frame.type == FrameType::kHeaders) {
      Answered(frame.stream);
    }
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
      JudgeRequest(frame);
      return JudgeHeaderBlock(frame);
    case FrameType::kContinuation:
      return JudgeHeaderBlock(frame);
    case FrameType::kRstStream:
      Ended(frame.stream);
      return Cancelled(now);
    case FrameType::kData:
      JudgeRequest(frame);
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
  open_calls_.try_emplace(frame.stream);
  num_open_calls_ = open_calls_.size();
  const bool is_paid = open_calls_.size() <= kAnnouncedStreams || PeerPays(now);
  if (!is_paid || open_calls_.size() > limits_.max_open_streams) Violates(CloseReason::kStreams);
}

void FramePolicy::JudgeRequest(const FrameHeader& frame) {
  const auto found = open_calls_.find(frame.stream);
  if (found == open_calls_.end()) return;
  Call& call = found->second;
  if (frame.type == FrameType::kData) {
    call.request_bytes += frame.payload_bytes;
    request_bytes_ += frame.payload_bytes;
    const bool is_paid = peer_ == nullptr || peer_->TakeRequestBytes(frame.payload_bytes);
    if (!is_paid && request_bytes_ > limits_.spare_request_bytes) Violates(CloseReason::kStreams);
  }
  call.has_all |= (frame.flags & kFlagEndStream) != 0;
  if (call.has_all && call.is_answered) LetGoOfRequest(call);
}

void FramePolicy::Answered(uint32_t stream) {
  const auto found = open_calls_.find(stream);
  if (found == open_calls_.end()) return;
  found->second.is_answered = true;
  if (found->second.has_all) LetGoOfRequest(found->second);
}

bool FramePolicy::Ended(uint32_t stream) {
  const auto found = open_calls_.find(stream);
  if (found == open_calls_.end()) return false;
  LetGoOfRequest(found->second);
  open_calls_.erase(found);
  num_open_calls_ = open_calls_.size();
  return true;
}

void FramePolicy::LetGoOfRequest(Call& call) {
  const uint64_t bytes = std::exchange(call.request_bytes, 0);
  request_bytes_ -= bytes;
  if (peer_ != nullptr) peer_->ReturnRequestBytes(bytes);
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
