#include "server/page_budget.h"

#include <gtest/gtest.h>

#include "tensord/v1/tensord.pb.h"

namespace tensord {
namespace {

v1::SideFile Item(size_t size_bytes) {
  v1::SideFile item;
  item.set_name(std::string(size_bytes, 'x'));
  return item;
}

size_t CountAdmitted(uint32_t page_size, size_t item_bytes) {
  PageBudget budget(page_size);
  size_t count = 0;
  while (budget.Admit(Item(item_bytes))) ++count;
  return count;
}

TEST(PageBudget, CountsItems) {
  EXPECT_EQ(CountAdmitted(1, 1), 1u);
  EXPECT_EQ(CountAdmitted(17, 1), 17u);
  EXPECT_EQ(CountAdmitted(0, 1), kDefaultPageSize);
  EXPECT_EQ(CountAdmitted(UINT32_MAX, 1), kMaxPageSize);
}

TEST(PageBudget, CountsBytes) {
  const size_t count = CountAdmitted(0, 10'000);
  EXPECT_LE(count * 10'000, kMaxPageBytes);
  EXPECT_GT((count + 1) * 10'020, kMaxPageBytes);
}

TEST(PageBudget, TakesTheFirstItemWhateverItsSize) {
  EXPECT_EQ(CountAdmitted(0, 3 * kMaxPageBytes), 1u);
  PageBudget budget(5);
  budget.AddBytes(Item(2 * kMaxPageBytes));
  EXPECT_TRUE(budget.Admit(Item(10)));
  EXPECT_FALSE(budget.Admit(Item(10)));
  EXPECT_TRUE(budget.is_full());
  EXPECT_FALSE(budget.HasRoomFor(Item(0)));
}

}  // namespace
}  // namespace tensord
