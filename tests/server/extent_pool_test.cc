#include "server/extent_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace tensord {
namespace {

TEST(ExtentPool, GivesTheLowestPlaceThatIsLargeEnough) {
  ExtentPool pool(100);
  EXPECT_EQ(pool.Take(10), 0u);
  EXPECT_EQ(pool.Take(20), 10u);
  EXPECT_EQ(pool.Take(30), 30u);
  pool.Put(0, 10);
  EXPECT_EQ(pool.Take(11), 60u);
  EXPECT_EQ(pool.Take(10), 0u);
}

TEST(ExtentPool, NeighboursJoin) {
  ExtentPool pool(30);
  pool.Take(10);
  pool.Take(10);
  pool.Take(10);
  EXPECT_EQ(pool.Take(1), std::nullopt);
  pool.Put(0, 10);
  pool.Put(20, 10);
  EXPECT_EQ(pool.largest(), 10u);
  EXPECT_EQ(pool.Take(11), std::nullopt);
  pool.Put(10, 10);
  EXPECT_EQ(pool.largest(), 30u);
  EXPECT_EQ(pool.free_size(), 30u);
}

TEST(ExtentPool, PartOfAPieceMayComeBackFirst) {
  ExtentPool pool(30);
  pool.Take(30);
  pool.Put(20, 10);
  EXPECT_EQ(pool.Take(10), 20u);
}

TEST(ExtentPool, TellsWhereTheLastPieceEnds) {
  ExtentPool pool(30);
  EXPECT_EQ(pool.used_end(), 0u);
  pool.Take(10);
  pool.Take(10);
  EXPECT_EQ(pool.used_end(), 20u);
  pool.Put(0, 10);
  EXPECT_EQ(pool.used_end(), 20u);
  pool.Take(10);
  pool.Take(10);
  EXPECT_EQ(pool.used_end(), 30u);
  pool.Put(0, 30);
  EXPECT_EQ(pool.used_end(), 0u);
}

TEST(ExtentPool, PiecesNeverOverlapWhateverTheOrder) {
  constexpr size_t kSize = 1000;
  std::mt19937 random(7);
  ExtentPool pool(kSize);
  std::map<size_t, size_t> taken;
  size_t taken_size = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (taken.empty() || random() % 2 == 0) {
      const size_t size = 1 + random() % 100;
      const size_t largest = pool.largest();
      const auto offset = pool.Take(size);
      ASSERT_EQ(offset.has_value(), size <= largest);
      if (!offset) continue;
      const auto next = taken.lower_bound(*offset);
      ASSERT_TRUE(next == taken.end() || *offset + size <= next->first);
      ASSERT_TRUE(next == taken.begin() ||
                  std::prev(next)->first + std::prev(next)->second <= *offset);
      taken[*offset] = size;
      taken_size += size;
    } else {
      const auto piece = std::next(taken.begin(), random() % taken.size());
      pool.Put(piece->first, piece->second);
      taken_size -= piece->second;
      taken.erase(piece);
    }
    ASSERT_EQ(pool.free_size(), kSize - taken_size);
  }
  for (const auto& [offset, size] : taken) pool.Put(offset, size);
  EXPECT_EQ(pool.largest(), kSize);
}

}  // namespace
}  // namespace tensord
