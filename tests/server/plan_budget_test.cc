#include "server/plan_budget.h"

#include <gtest/gtest.h>

#include "src/error.h"

namespace tensord {
namespace {

constexpr size_t kLarge = PlanBudget::kLimitBytes / 2 + 1;

TEST(PlanBudget, SmallPlansCountNowhere) {
  PlanBudget budget;
  for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(budget.Take(PlanBudget::kSmallBytes).ok());
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(PlanBudget, LargeOnesWaitForOneAnother) {
  PlanBudget budget;
  {
    const auto first = budget.Take(kLarge);
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = budget.Take(kLarge);
    EXPECT_EQ(ReasonOf(second.status()), ErrorReason::kOutOfBuffers);
    EXPECT_EQ(budget.used_bytes(), kLarge);
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
  EXPECT_TRUE(budget.Take(kLarge).ok());
}

TEST(PlanBudget, TheLargestHasRoomAlone) {
  PlanBudget budget;
  EXPECT_TRUE(budget.Take(2 * PlanBudget::kLimitBytes).ok());
}

TEST(PlanBudget, APlanTakesWhatItsPartsTake) {
  ReadPlan plan;
  EXPECT_EQ(PlanBytes(plan), 0u);
  plan.results.resize(1000);
  EXPECT_EQ(PlanBytes(plan), 1000 * sizeof(PlannedResult));
  plan.layouts.emplace_back(100, 'x');
  EXPECT_GE(PlanBytes(plan), 1000 * sizeof(PlannedResult) + 100);
}

}  // namespace
}  // namespace tensord
