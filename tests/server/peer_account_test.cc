#include "server/peer_account.h"

#include <gtest/gtest.h>

namespace tensord {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = PeerAccount::Clock;

class PeerAccountTest : public testing::Test {
 protected:
  static GuardLimits Limits() {
    GuardLimits limits;
    limits.peer_cancels_burst = 100;
    limits.peer_cancels_per_second = 10;
    limits.max_peer_excesses = 4;
    limits.pause_per_excess = milliseconds(10);
    limits.longest_pause = milliseconds(100);
    return limits;
  }
  milliseconds Pause() {
    return std::chrono::duration_cast<milliseconds>(account_.NextStart(now_) - now_);
  }

  Clock::time_point now_{};
  PeerAccount account_{Limits(), now_};
};

TEST_F(PeerAccountTest, WithinItsShareAPeerNeverWaits) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(account_.TakeCancels(10, now_));
    EXPECT_EQ(Pause(), milliseconds(0));
    now_ += seconds(1);
  }
}

TEST_F(PeerAccountTest, BeyondItNewConnectionsWaitOneAfterTheOther) {
  EXPECT_TRUE(account_.TakeCancels(100, now_));
  EXPECT_FALSE(account_.TakeCancels(1, now_));
  EXPECT_EQ(Pause(), milliseconds(10));
  EXPECT_EQ(Pause(), milliseconds(20));
  EXPECT_FALSE(account_.TakeCancels(1, now_));
  EXPECT_EQ(Pause(), milliseconds(40)) << "longer with each excess";
}

TEST_F(PeerAccountTest, NobodyWaitsForLongWhateverThePeerDoes) {
  for (int i = 0; i < 1000; ++i) account_.TakeCancels(1000, now_);
  for (int i = 0; i < 1000; ++i) EXPECT_LE(Pause(), milliseconds(100));
}

TEST_F(PeerAccountTest, ExcessesAreForgottenAndNothingIsOwed) {
  for (int i = 0; i < 1000; ++i) account_.TakeCancels(1000, now_);
  now_ += seconds(4);
  EXPECT_EQ(Pause(), milliseconds(0));
  EXPECT_TRUE(account_.TakeCancels(40, now_));
  EXPECT_FALSE(account_.TakeCancels(1, now_));
}

TEST_F(PeerAccountTest, RequestBytesCountUntilTheyAreReturned) {
  const uint64_t most = Limits().peer_request_bytes;
  EXPECT_TRUE(account_.TakeRequestBytes(most));
  EXPECT_FALSE(account_.TakeRequestBytes(1));
  account_.ReturnRequestBytes(2);
  EXPECT_TRUE(account_.TakeRequestBytes(1));
}

}  // namespace
}  // namespace tensord
