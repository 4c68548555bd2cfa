#include "src/name_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Sorted(const std::vector<std::string>& names) {
  std::vector<std::string> sorted;
  const auto name = [&names](uint32_t i) { return absl::string_view(names[i]); };
  for (const uint32_t i : NameOrder(names.size(), name)) sorted.push_back(names[i]);
  return sorted;
}

std::vector<std::string> Expected(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

TEST(NameOrder, OfNothingIsNothing) { EXPECT_THAT(Sorted({}), IsEmpty()); }

TEST(NameOrder, IsByUnsignedBytes) {
  EXPECT_THAT(Sorted({"\xc3\xa9", "b", "B", "", "a"}), ElementsAre("", "B", "a", "b", "\xc3\xa9"));
}

TEST(NameOrder, ShorterNamesStandBeforeTheirContinuations) {
  std::vector<std::string> names;
  for (size_t i = 0; i < 40; ++i) names.push_back(std::string(39 - i, 'x'));
  EXPECT_EQ(Sorted(names), Expected(names));
}

TEST(NameOrder, NulsAreNoEnd) {
  std::vector<std::string> names;
  for (size_t i = 0; i < 40; ++i) names.push_back("name" + std::string(39 - i, '\0'));
  EXPECT_EQ(Sorted(names), Expected(names));
}

TEST(NameOrder, LongCommonBeginnings) {
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back(absl::StrCat(std::string(10'000, 'x'), 299 - i));
  EXPECT_EQ(Sorted(names), Expected(names));
}

TEST(NameOrder, RandomNamesOfFewLettersWithRepeats) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> names(random() % 500);
    for (std::string& name : names) {
      name.resize(random() % 30);
      for (char& c : name) c = "\0a\xff"[random() % 3];
    }
    EXPECT_EQ(Sorted(names), Expected(names)) << "round " << round;
  }
}

}  // namespace
}  // namespace tensord
