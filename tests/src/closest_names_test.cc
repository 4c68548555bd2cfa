#include "src/closest_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Closest(const std::string& wanted, std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return ClosestNames(wanted, names.size(),
                      [&](size_t index) { return absl::string_view(names[index]); });
}

TEST(ClosestNames, NearestFirst) {
  EXPECT_THAT(Closest("weight", {"weigth", "weights", "bias", "weiht"}),
              ElementsAre("weights", "weiht", "weigth"));
}

TEST(ClosestNames, ForgottenOrAddedPathIsFound) {
  EXPECT_THAT(Closest("wte.weight", {"transformer.wte.weight", "x"}),
              ElementsAre("transformer.wte.weight"));
  EXPECT_THAT(Closest("model.wte.weight", {"wte.weight", "x"}), ElementsAre("wte.weight"));
}

TEST(ClosestNames, NothingNearIsNothing) {
  EXPECT_THAT(Closest("weight", {"zzzzzzzzzzzzzz", "q"}), IsEmpty());
  EXPECT_THAT(Closest("x", {}), IsEmpty());
  EXPECT_EQ(ShowClosest({}), "");
}

TEST(ClosestNames, ShownNamesAreQuoted) {
  EXPECT_EQ(ShowClosest({"a", "b\n"}), "; closest: \"a\", \"b\\n\"");
}

TEST(ClosestNames, OneSlipIsFoundAmong92000) {
  std::vector<std::string> names;
  for (int layer = 0; layer < 61; ++layer) {
    for (int expert = 0; expert < 1500; ++expert) {
      names.push_back(absl::StrCat("model.layers.", layer, ".mlp.experts.", expert, ".weight"));
    }
  }
  const auto found = Closest("model.layer.3.mlp.experts.7.weight", std::move(names));
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0], "model.layers.3.mlp.experts.7.weight");
}

TEST(ClosestNames, HostileNamesAreBounded) {
  // 20,000 names that all differ a little all over: unbounded, this is 10^11 steps.
  std::vector<std::string> names;
  for (int i = 0; i < 20'000; ++i) {
    std::string name(400, 'a');
    for (size_t j = 0; j < name.size(); j += 7) name[j] = static_cast<char>('b' + (i + j) % 3);
    names.push_back(absl::StrCat(name, i));
  }
  const auto begin = std::chrono::steady_clock::now();
  Closest(std::string(4096, 'a'), std::move(names));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace tensord
