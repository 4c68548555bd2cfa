#include "server/repeat_filter.h"

#include <optional>

#include "gtest/gtest.h"

namespace tensord {
namespace {

using std::chrono::milliseconds;

TEST(RepeatFilter, ALinePassesOnceASecondAndSaysWhatWasHeldBack) {
  RepeatFilter filter;
  const auto begin = RepeatFilter::Clock::now();
  EXPECT_EQ(filter.Admit(7, begin), 0u);
  EXPECT_EQ(filter.Admit(7, begin + milliseconds(1)), std::nullopt);
  EXPECT_EQ(filter.Admit(7, begin + milliseconds(999)), std::nullopt);
  EXPECT_EQ(filter.Admit(7, begin + milliseconds(1000)), 2u);
  EXPECT_EQ(filter.Admit(7, begin + milliseconds(3000)), 0u);
}

TEST(RepeatFilter, OtherLinesPass) {
  RepeatFilter filter;
  const auto now = RepeatFilter::Clock::now();
  EXPECT_EQ(filter.Admit(0, now), 0u);
  EXPECT_EQ(filter.Admit(1, now), 0u);
  EXPECT_EQ(filter.Admit(256, now), 0u);  // In the place of 0, which is forgotten.
  EXPECT_EQ(filter.Admit(0, now), 0u);
}

}  // namespace
}  // namespace tensord
