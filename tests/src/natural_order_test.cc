#include "src/natural_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace tensord {
namespace {

TEST(NaturalOrder, NumbersCount) {
  const std::vector<std::string> sorted = {
      "",   "a",  "a.1", "a.02", "a.2", "a.2.x", "a.10", "a.10x", "a.99999999999999999999999",
      "ab", "b0", "b00"};
  for (size_t i = 0; i < sorted.size(); ++i) {
    for (size_t j = 0; j < sorted.size(); ++j) {
      const int order = CompareNatural(sorted[i], sorted[j]);
      EXPECT_EQ(order < 0, i < j) << sorted[i] << " and " << sorted[j];
      EXPECT_EQ(order == 0, i == j) << sorted[i] << " and " << sorted[j];
    }
  }
}

TEST(NaturalOrder, IsAStrictOrderOfRandomNames) {
  std::mt19937 random(3);
  std::vector<std::string> names(60);
  for (std::string& name : names) {
    name.resize(random() % 6);
    for (char& c : name) c = "01a."[random() % 4];
  }
  for (const std::string& a : names) {
    for (const std::string& b : names) {
      EXPECT_EQ(CompareNatural(a, b) < 0, CompareNatural(b, a) > 0) << a << " and " << b;
      for (const std::string& c : names) {
        if (CompareNatural(a, b) < 0 && CompareNatural(b, c) < 0) {
          EXPECT_LT(CompareNatural(a, c), 0) << a << ", " << b << ", " << c;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tensord
