#include "src/model_cache.h"

#include <gtest/gtest.h>

#include "src/catalog.h"
#include "src/parallel_for.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

class ModelCacheTest : public ::testing::Test {
 protected:
  // A model of its own each time.
  std::shared_ptr<const Model> NewModel() {
    WriteSafetensors(dir_.Path("m.safetensors"), {{"t", Dtype::kU8, {1}, ""}});
    return (*Catalog::Load({{"", dir_.path()}}, 1))->model(0);
  }

  TempDir dir_;
};

TEST_F(ModelCacheTest, KeepsWhatFits) {
  ModelCache cache(1 << 20);
  const Model* model = cache.Add(1, NewModel()).get();
  EXPECT_EQ(cache.Find(1).get(), model);
  EXPECT_EQ(cache.Find(2), nullptr);
  EXPECT_FALSE(cache.IsFull());
}

TEST_F(ModelCacheTest, LetsTheOneUsedLongestAgoGo) {
  const uint64_t bytes = NewModel()->memory_bytes();
  ModelCache cache(2 * bytes + bytes / 2);
  cache.Add(1, NewModel());
  cache.Add(2, NewModel());
  cache.Find(1);
  cache.Add(3, NewModel());
  EXPECT_NE(cache.Find(1), nullptr);
  EXPECT_EQ(cache.Find(2), nullptr);
  EXPECT_NE(cache.Find(3), nullptr);
}

TEST_F(ModelCacheTest, TellsWhetherAllModelsAreInMemory) {
  ModelCache cache(1 << 20);
  cache.Add(0, NewModel());
  EXPECT_TRUE(cache.HasAll(0));
  EXPECT_TRUE(cache.HasAll(1));
  cache.Add(2, NewModel());
  EXPECT_FALSE(cache.HasAll(2));
  cache.Add(1, NewModel());
  EXPECT_TRUE(cache.HasAll(3));
}

TEST_F(ModelCacheTest, ForgetsThatAModelWasInMemory) {
  ModelCache cache(/*budget_bytes=*/0);  // The one used last is kept.
  cache.Add(0, NewModel());
  cache.Add(1, NewModel());
  EXPECT_FALSE(cache.HasAll(2));
}

TEST_F(ModelCacheTest, FindsAModelThatIsInUseWhateverTheBudget) {
  ModelCache cache(0);
  const auto used = cache.Add(1, NewModel());
  cache.Add(2, NewModel());
  EXPECT_EQ(cache.Find(1), used);
  // The last one added is kept even when it is larger than the budget.
  EXPECT_TRUE(cache.IsFull());
}

TEST_F(ModelCacheTest, FirstOfTwoModelsOfAKeyStays) {
  ModelCache cache(1 << 20);
  const auto first = cache.Add(1, NewModel());
  EXPECT_EQ(cache.Add(1, NewModel()), first);
}

TEST_F(ModelCacheTest, ThreadsMayShareIt) {
  const auto model = NewModel();
  ModelCache cache(2 * model->memory_bytes());
  ParallelFor(4, 2000, [&](size_t i) {
    if (cache.Find(i % 7) == nullptr) cache.Add(i % 7, model);
  });
  EXPECT_EQ(cache.Add(3, model), model);
}

TEST(ParallelFor, CallsEachIndexOnce) {
  std::vector<int> calls(1000);
  ParallelFor(8, calls.size(), [&](size_t index) { ++calls[index]; });
  EXPECT_EQ(calls, std::vector<int>(1000, 1));
  ParallelFor(8, 0, [](size_t) { FAIL(); });
}

}  // namespace
}  // namespace tensord
