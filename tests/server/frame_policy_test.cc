#include "server/frame_policy.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace tensord {
namespace {

using Clock = FramePolicy::Clock;
using std::chrono::seconds;

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

absl::Span<uint8_t> Mutable(std::string& text) {
  return absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), text.size());
}

class FramePolicyTest : public testing::Test {
 protected:
  FramePolicyTest() { Receive(kPreface); }

  std::optional<CloseReason> Receive(std::string bytes) {
    return policy_.Received(Mutable(bytes), now_);
  }
  std::optional<CloseReason> Receive(FrameType type, uint8_t flags, uint32_t stream,
                                     size_t payload_bytes = 0) {
    return Receive(Frame(type, flags, stream, payload_bytes));
  }
  void Send(FrameType type, uint8_t flags, uint32_t stream, size_t payload_bytes = 0) {
    const std::string bytes = Frame(type, flags, stream, payload_bytes);
    policy_.Sent(Bytes(bytes), now_);
  }

  static std::string Frame(FrameType type, uint8_t flags, uint32_t stream, size_t payload_bytes) {
    std::string frame;
    for (const int shift : {16, 8, 0}) frame += static_cast<char>(payload_bytes >> shift);
    frame += static_cast<char>(type);
    frame += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift);
    return frame + std::string(payload_bytes, '\0');
  }
  static absl::Span<const uint8_t> Bytes(const std::string& text) {
    return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  }

  const GuardLimits limits_;
  Clock::time_point now_{};
  FramePolicy policy_{limits_, now_};
};

TEST_F(FramePolicyTest, CallsThatAreAnsweredMayGoOnForEver) {
  for (uint32_t stream = 1; stream < 20'000; stream += 2) {
    ASSERT_EQ(Receive(FrameType::kHeaders, kFlagEndHeaders, stream, 100), std::nullopt) << stream;
    ASSERT_EQ(Receive(FrameType::kData, kFlagEndStream, stream, 100), std::nullopt);
    Send(FrameType::kHeaders, kFlagEndHeaders, stream, 100);
    Send(FrameType::kData, 0, stream, 16'384);
    Send(FrameType::kHeaders, kFlagEndHeaders | kFlagEndStream, stream, 20);
  }
}

TEST_F(FramePolicyTest, WindowUpdatesAndPingsThatWaitForAnswersGoOnForEver) {
  Send(FrameType::kSettings, 0, 0, 12);
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(Receive(FrameType::kWindowUpdate, 0, 1, 4), std::nullopt);
    ASSERT_EQ(Receive(FrameType::kPing, 0, 0, 8), std::nullopt);
    Send(FrameType::kPing, kFlagAck, 0, 8);
  }
}

TEST_F(FramePolicyTest, PingsThatWaitForNoAnswerAreLimited) {
  Send(FrameType::kSettings, 0, 0, 12);
  size_t accepted = 0;
  while (Receive(FrameType::kPing, 0, 0, 8) == std::nullopt) ++accepted;
  EXPECT_EQ(accepted, limits_.max_pings_unanswered);
}

TEST_F(FramePolicyTest, CancelledCallsAreLimitedInTheirRate) {
  int accepted = 0;
  while (Receive(FrameType::kRstStream, 0, 1, 4) == std::nullopt) ++accepted;
  EXPECT_EQ(accepted, limits_.cancels_burst);
  EXPECT_EQ(Receive(FrameType::kPing, 0, 0, 8), CloseReason::kCancels) << "once and for all";
}

TEST_F(FramePolicyTest, CancellingTwoHundredTimesASecondIsAllowed) {
  for (int second = 0; second < 100; ++second, now_ += seconds(1)) {
    for (int i = 0; i < 200; ++i) {
      ASSERT_EQ(Receive(FrameType::kRstStream, 0, 1, 4), std::nullopt) << second;
    }
  }
}

TEST_F(FramePolicyTest, ResetsThatTheClientProvokesAreCancels) {
  std::optional<CloseReason> reason;
  uint32_t stream = 1;
  for (; !reason && stream < 20'000; stream += 2) {
    reason = Receive(FrameType::kHeaders, kFlagEndHeaders, stream, 100);
    Send(FrameType::kRstStream, 0, stream, 4);
  }
  EXPECT_EQ(reason, CloseReason::kCancels);
}

TEST_F(FramePolicyTest, AResetAfterTheStatusIsNoCancel) {
  for (uint32_t stream = 1; stream < 20'000; stream += 2) {
    ASSERT_EQ(Receive(FrameType::kHeaders, kFlagEndHeaders, stream, 100), std::nullopt) << stream;
    Send(FrameType::kHeaders, kFlagEndHeaders | kFlagEndStream, stream, 20);
    Send(FrameType::kRstStream, 0, stream, 4);
  }
}

TEST_F(FramePolicyTest, AHeaderBlockIsLimitedWithItsContinuations) {
  EXPECT_EQ(Receive(FrameType::kHeaders, 0, 1, 16'000), std::nullopt);
  EXPECT_EQ(Receive(FrameType::kContinuation, 0, 1, 16'000), std::nullopt);
  EXPECT_EQ(Receive(FrameType::kContinuation, kFlagEndHeaders, 1, 16'000), std::nullopt);
  EXPECT_EQ(Receive(FrameType::kHeaders, kFlagEndHeaders, 3, 60'000), std::nullopt) << "a new one";
  EXPECT_EQ(Receive(FrameType::kHeaders, 0, 5, 40'000), std::nullopt);
  EXPECT_EQ(Receive(FrameType::kContinuation, 0, 5, 40'000), CloseReason::kHeaders);
}

TEST_F(FramePolicyTest, EmptyContinuationsEnd) {
  EXPECT_EQ(Receive(FrameType::kHeaders, 0, 1, 10), std::nullopt);
  std::optional<CloseReason> reason;
  for (int i = 0; !reason && i < 20'000; ++i) reason = Receive(FrameType::kContinuation, 0, 1);
  EXPECT_EQ(reason, CloseReason::kHeaders);
}

TEST_F(FramePolicyTest, AHeaderBlockIsJudgedBeforeItHasCome) {
  EXPECT_EQ(Receive(Frame(FrameType::kHeaders, 0, 1, 70'000).substr(0, FrameHeader::kSize)),
            CloseReason::kHeaders);
}

TEST_F(FramePolicyTest, OpenStreamsAreLimited) {
  Send(FrameType::kSettings, 0, 0, 12);
  uint32_t stream = 1;
  size_t open = 0;
  while (Receive(FrameType::kHeaders, kFlagEndHeaders, stream, 10) == std::nullopt) {
    stream += 2;
    ++open;
  }
  EXPECT_EQ(open, limits_.max_open_streams);
}

TEST_F(FramePolicyTest, OddFramesAreLimitedInTheirRate) {
  const FrameType unknown = static_cast<FrameType>(0x77);
  for (const FrameType type : {FrameType::kSettings, FrameType::kPriority, FrameType::kData,
                               FrameType::kGoAway, unknown}) {
    FramePolicy policy(limits_, now_);
    std::string preface = kPreface;
    policy.Received(Mutable(preface), now_);
    std::optional<CloseReason> reason;
    for (int i = 0; !reason && i < 10'000; ++i) {
      std::string frame = Frame(type, 0, 1, 0);
      reason = policy.Received(Mutable(frame), now_);
    }
    EXPECT_EQ(reason, CloseReason::kFrames) << static_cast<int>(type);
  }
}

TEST_F(FramePolicyTest, OnlyTheWindowsInSettingsAreLowered) {
  const std::string entry("\0\4\x40\0\0\0", 6), lowered("\0\4\0\x7f\xff\xff", 6);
  const std::string settings = Frame(FrameType::kSettings, 0, 0, 6).substr(0, 9);
  const std::string headers = Frame(FrameType::kHeaders, kFlagEndHeaders, 1, 6).substr(0, 9);
  const std::string data = Frame(FrameType::kData, 0, 1, 6).substr(0, 9);
  const std::string sign = settings + std::string("\0\6\0\0\x74\x64", 6);
  const std::string sent = settings + entry + headers + entry + data + entry + settings + entry;
  for (const size_t piece_bytes : {size_t{1}, size_t{4}, size_t{11}, sent.size()}) {
    FramePolicy policy(limits_, now_);
    std::string preface = kPreface + sign, seen;
    policy.Received(Mutable(preface), now_);
    for (size_t i = 0; i < sent.size(); i += piece_bytes) {
      std::string piece = sent.substr(i, piece_bytes);
      EXPECT_EQ(policy.Received(Mutable(piece), now_), std::nullopt);
      seen += piece;
    }
    EXPECT_EQ(seen, settings + lowered + headers + entry + data + entry + settings + lowered);
  }
}

// A peer that may cancel `burst` calls on all its connections, never more.
std::shared_ptr<PeerAccount> Account(GuardLimits& limits, double burst) {
  limits.peer_cancels_burst = burst;
  limits.peer_cancels_per_second = 0;
  limits.spare_cancels_burst = 2;
  limits.spare_cancels_per_second = 1;
  return std::make_shared<PeerAccount>(limits, Clock::time_point());
}

std::optional<CloseReason> Cancel(FramePolicy& policy, int count, Clock::time_point now) {
  std::string text = "";
  for (int i = 0; i < count; ++i) text += std::string("\0\0\4\3\0\0\0\0\1\0\0\0\10", 13);
  return policy.Received(Mutable(text), now);
}

std::optional<CloseReason> Begin(FramePolicy& policy, std::string text) {
  return policy.Received(Mutable(text), {});
}

TEST(FramePolicyOfAPeer, ItsOtherConnectionsHaveSpentItsCancels) {
  GuardLimits limits;
  const auto account = Account(limits, 10);
  FramePolicy first(limits, {}, account), second(limits, {}, account);
  Begin(first, kPreface);
  Begin(second, kPreface);
  EXPECT_EQ(Cancel(first, 10, {}), std::nullopt);
  EXPECT_EQ(Cancel(second, 2, {}), std::nullopt) << "each has a few to spare";
  EXPECT_EQ(Cancel(second, 1, {}), CloseReason::kCancels);
}

TEST(FramePolicyOfAPeer, AnHonestOneBesideAnAttackerMayCancelNowAndThen) {
  GuardLimits limits;
  const auto account = Account(limits, 10);
  account->TakeCancels(1000, {});
  FramePolicy honest(limits, {}, account);
  Begin(honest, kPreface);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Cancel(honest, 1, Clock::time_point() + seconds(i)), std::nullopt) << i;
  }
}

TEST(FramePolicyOfAPeer, CallsThatAConnectionLeavesAreCancelledOnes) {
  GuardLimits limits;
  const auto account = Account(limits, 10);
  {
    FramePolicy leaves(limits, {}, account);
    Begin(leaves, kPreface + std::string("\0\0\0\1\4\0\0\0\1\0\0\0\1\4\0\0\0\3", 18));
  }
  EXPECT_TRUE(account->TakeCancels(8, {}));
  EXPECT_FALSE(account->TakeCancels(1, {}));
}

// Of a peer whose other connections have left nothing of its share of unfinished requests.
class RequestBytesTest : public FramePolicyTest {
 protected:
  RequestBytesTest() {
    peer_->TakeRequestBytes(limits_.peer_request_bytes);
    policy_.BelongsTo(peer_);
  }
  std::optional<CloseReason> Begin(uint32_t stream, uint8_t end, size_t request_bytes) {
    EXPECT_EQ(Receive(FrameType::kHeaders, kFlagEndHeaders, stream, 100), std::nullopt);
    return Receive(FrameType::kData, end, stream, request_bytes);
  }
  bool PeerHasRoomFor(uint64_t bytes) {
    const bool has_room = peer_->TakeRequestBytes(bytes);
    peer_->ReturnRequestBytes(bytes);
    return has_room;
  }

  const std::shared_ptr<PeerAccount> peer_ = std::make_shared<PeerAccount>(limits_, now_);
  const size_t spare_ = limits_.spare_request_bytes;
};

TEST_F(RequestBytesTest, EndTheConnectionThatHasMoreThanAFewOfThem) {
  EXPECT_EQ(Begin(1, 0, spare_ / 2), std::nullopt);
  EXPECT_EQ(Begin(3, 0, spare_ / 2), std::nullopt);
  EXPECT_EQ(Begin(5, 0, 1), CloseReason::kStreams);
}

TEST_F(RequestBytesTest, DoNotCountOnceTheAnswerToAllOfThemHasBegun) {
  for (uint32_t stream = 1; stream < 1000; stream += 2) {
    ASSERT_EQ(Begin(stream, kFlagEndStream, spare_), std::nullopt) << stream;
    Send(FrameType::kHeaders, kFlagEndHeaders, stream, 100);
    ASSERT_FALSE(PeerHasRoomFor(1));
    ASSERT_TRUE(PeerHasRoomFor(0)) << "all of the stream's own are returned";
  }
}

TEST_F(RequestBytesTest, CountWhereTheClientMayGoOn) {
  EXPECT_EQ(Begin(1, 0, spare_), std::nullopt);
  Send(FrameType::kHeaders, kFlagEndHeaders, 1, 100);
  EXPECT_EQ(Receive(FrameType::kData, 0, 1, 1), CloseReason::kStreams);
}

TEST_F(RequestBytesTest, DoNotCountOnceTheClientHasEndedWhatIsAnswered) {
  EXPECT_EQ(Begin(1, 0, spare_), std::nullopt);
  Send(FrameType::kHeaders, kFlagEndHeaders, 1, 100);
  EXPECT_EQ(Receive(FrameType::kData, kFlagEndStream, 1), std::nullopt);
  EXPECT_EQ(Begin(3, 0, spare_), std::nullopt);
}

TEST_F(RequestBytesTest, DoNotCountOnceTheCallHasEnded) {
  EXPECT_EQ(Begin(1, 0, spare_), std::nullopt);
  EXPECT_EQ(Receive(FrameType::kRstStream, 0, 1, 4), std::nullopt);
  EXPECT_EQ(Begin(3, 0, spare_), std::nullopt);
  Send(FrameType::kHeaders, kFlagEndHeaders | kFlagEndStream, 3, 100);
  EXPECT_EQ(Begin(5, 0, spare_), std::nullopt);
}

TEST_F(FramePolicyTest, WhatAConnectionLeavesIsReturnedToItsPeer) {
  const auto peer = std::make_shared<PeerAccount>(limits_, now_);
  {
    FramePolicy leaving(limits_, now_, peer);
    std::string begin = kPreface + Frame(FrameType::kHeaders, kFlagEndHeaders, 1, 100) +
                        Frame(FrameType::kData, 0, 1, 1 << 20);
    EXPECT_EQ(leaving.Received(Mutable(begin), now_), std::nullopt);
    EXPECT_FALSE(peer->TakeRequestBytes(limits_.peer_request_bytes));
    peer->ReturnRequestBytes(limits_.peer_request_bytes);
  }
  EXPECT_TRUE(peer->TakeRequestBytes(limits_.peer_request_bytes));
}

}  // namespace
}  // namespace tensord
