#include "server/active_streams.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "src/error.h"

namespace tensord {
namespace {

using std::chrono::steady_clock;

ActiveStreams::Cancel Nothing() {
  return [](const absl::Status&) {};
}

TEST(ActiveStreams, DrainWithoutStreamsReturnsAtOnce) {
  ActiveStreams streams;
  EXPECT_EQ(streams.Drain(steady_clock::now() + std::chrono::hours(1)), 0u);
}

TEST(ActiveStreams, NoStreamBeginsOnceDraining) {
  ActiveStreams streams;
  streams.Drain(steady_clock::now());
  EXPECT_EQ(ReasonOf(streams.Begin("a", Nothing()).status()), ErrorReason::kDraining);
}

TEST(ActiveStreams, DrainWaitsForTheLastStream) {
  ActiveStreams streams;
  std::optional<ActiveStreams::Token> first(*streams.Begin("a", Nothing()));
  std::optional<ActiveStreams::Token> second(*streams.Begin("a", Nothing()));
  bool ended = false;
  std::thread ender([&] {
    first.reset();
    while (streams.Begin("a", Nothing()).ok()) std::this_thread::yield();  // Until it drains.
    ended = true;
    second.reset();
  });
  EXPECT_GE(streams.Drain(steady_clock::now() + std::chrono::hours(1)), 1u);
  EXPECT_TRUE(ended);
  ender.join();
}

TEST(ActiveStreams, DrainEndsWhatStillRunsAtItsDeadline) {
  ActiveStreams streams;
  absl::Status ended;
  std::optional<ActiveStreams::Token> token;
  token.emplace(*streams.Begin("a", [&](const absl::Status& status) {
    ended = status;
    token.reset();
  }));
  EXPECT_EQ(streams.Drain(steady_clock::now() + std::chrono::milliseconds(10)), 1u);
  EXPECT_EQ(ReasonOf(ended), ErrorReason::kDraining);
  EXPECT_EQ(streams.size(), 0u);
}

TEST(ActiveStreams, DrainGivesUpOnAStreamThatDoesNotEnd) {
  ActiveStreams streams;
  const auto token = streams.Begin("a", Nothing());
  EXPECT_EQ(streams.Drain(steady_clock::now()), 1u);
}

TEST(ActiveStreams, LimitsAllPeersTogether) {
  ActiveStreams streams({.max_streams = 2, .max_streams_per_peer = 2});
  std::optional<ActiveStreams::Token> first(*streams.Begin("a", Nothing()));
  const auto second = streams.Begin("b", Nothing());
  const absl::Status refused = streams.Begin("c", Nothing()).status();
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kTooManyStreams);
  EXPECT_EQ(ErrorDetails(refused).count("retry_ms"), 1u);
  first.reset();
  EXPECT_TRUE(streams.Begin("c", Nothing()).ok());
}

TEST(ActiveStreams, LimitsEachPeer) {
  ActiveStreams streams({.max_streams = 10, .max_streams_per_peer = 1});
  std::optional<ActiveStreams::Token> first(*streams.Begin("a", Nothing()));
  const absl::Status refused = streams.Begin("a", Nothing()).status();
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kTooManyStreams);
  EXPECT_EQ(ErrorDetails(refused).count("retry_ms"), 1u);
  EXPECT_TRUE(streams.Begin("b", Nothing()).ok());
  first.reset();
  EXPECT_TRUE(streams.Begin("a", Nothing()).ok());
}

TEST(ActiveStreams, FinishingStreamCountsNoMoreForItsPeer) {
  ActiveStreams streams({.max_streams = 2, .max_streams_per_peer = 1});
  auto first = streams.Begin("a", Nothing());
  first->Finishes();
  const auto second = streams.Begin("a", Nothing());
  EXPECT_TRUE(second.ok());
  EXPECT_EQ(streams.size(), 2u);
}

TEST(ActiveStreams, OnlyStreamsThatWaitForTheirClientsAreStalledAndOnlyOnce) {
  ActiveStreams streams;
  int ended = 0;
  auto token = streams.Begin("a", [&](const absl::Status& status) {
    EXPECT_EQ(status, absl::AbortedError("x"));
    ++ended;
  });
  const auto later = [] { return steady_clock::now() + std::chrono::hours(1); };
  EXPECT_EQ(streams.CancelStalled(later(), absl::AbortedError("x")), 0u);
  token->WaitsForClient();
  EXPECT_EQ(streams.CancelStalled(later() - std::chrono::hours(2), absl::AbortedError("x")), 0u);
  token->Proceeded();
  EXPECT_EQ(streams.CancelStalled(later(), absl::AbortedError("x")), 0u);
  token->WaitsForClient();
  EXPECT_EQ(streams.CancelStalled(later(), absl::AbortedError("x")), 1u);
  EXPECT_EQ(streams.CancelStalled(later(), absl::AbortedError("x")), 0u);
  EXPECT_EQ(ended, 1);
}

}  // namespace
}  // namespace tensord
