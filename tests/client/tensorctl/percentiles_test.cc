#include "client/tensorctl/percentiles.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace tensord::ctl {
namespace {

TEST(Percentile, IsAValueThatWasMeasured) {
  std::vector<double> values(100);
  std::iota(values.begin(), values.end(), 1);
  EXPECT_EQ(Percentile(values, 50), 50);
  EXPECT_EQ(Percentile(values, 99), 99);
  EXPECT_EQ(Percentile(values, 100), 100);
}

TEST(Percentile, OfFewValuesIsTheLargestEarly) {
  EXPECT_EQ(Percentile({1, 2, 3}, 99), 3);
  EXPECT_EQ(Percentile({7}, 1), 7);
}

TEST(Percentile, OfNothingIsZero) { EXPECT_EQ(Percentile({}, 50), 0); }

}  // namespace
}  // namespace tensord::ctl
