#include "server/ticker.h"

#include <gtest/gtest.h>

#include <future>

namespace tensord {
namespace {

using std::chrono::milliseconds;

TEST(Ticker, CallsAgainAndAgain) {
  std::promise<void> third;
  int ticks = 0;
  const Ticker ticker(milliseconds(1), [&] {
    if (++ticks == 3) third.set_value();
  });
  third.get_future().wait();
}

TEST(Ticker, EndsInTheMiddleOfAnInterval) {
  const Ticker ticker(std::chrono::hours(1), [] { FAIL(); });
}

}  // namespace
}  // namespace tensord
