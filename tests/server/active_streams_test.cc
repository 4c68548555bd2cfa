#include "server/active_streams.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "tensord/error_reason.h"

namespace tensord {
namespace {

using std::chrono::steady_clock;

TEST(ActiveStreams, DrainWithoutStreamsReturnsAtOnce) {
  ActiveStreams streams;
  EXPECT_EQ(streams.Drain(steady_clock::now() + std::chrono::hours(1)), 0u);
}

TEST(ActiveStreams, NoStreamBeginsOnceDraining) {
  ActiveStreams streams;
  streams.Drain(steady_clock::now());
  EXPECT_EQ(ReasonOf(streams.Begin().status()), ErrorReason::kDraining);
}

TEST(ActiveStreams, DrainWaitsForTheLastStream) {
  ActiveStreams streams;
  std::optional<ActiveStreams::Token> first(*streams.Begin());
  std::optional<ActiveStreams::Token> second(*streams.Begin());
  bool ended = false;
  std::thread ender([&] {
    first.reset();
    while (streams.Begin().ok()) std::this_thread::yield();  // Until the other thread drains.
    ended = true;
    second.reset();
  });
  EXPECT_GE(streams.Drain(steady_clock::now() + std::chrono::hours(1)), 1u);
  EXPECT_TRUE(ended);
  ender.join();
}

TEST(ActiveStreams, DrainGivesUpAtItsDeadline) {
  ActiveStreams streams;
  const auto token = streams.Begin();
  EXPECT_EQ(streams.Drain(steady_clock::now() + std::chrono::milliseconds(10)), 1u);
}

}  // namespace
}  // namespace tensord
