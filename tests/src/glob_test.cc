#include "src/glob.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "absl/strings/str_cat.h"
#include "src/error.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

struct GlobRow {
  std::string label;
  std::string pattern;
  std::vector<std::string> matching;
  std::vector<std::string> other;
};

class GlobMatch : public ::testing::TestWithParam<GlobRow> {};

TEST_P(GlobMatch, AsTheTableSays) {
  const absl::StatusOr<Glob> glob = Glob::Parse(GetParam().pattern);
  ASSERT_TRUE(glob.ok()) << glob.status();
  for (const std::string& name : GetParam().matching) EXPECT_TRUE(glob->Matches(name)) << name;
  for (const std::string& name : GetParam().other) EXPECT_FALSE(glob->Matches(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, GlobMatch,
    ::testing::Values(
        GlobRow{"Literal", "wte.weight", {"wte.weight"}, {"wte.weigh", "wte.weights", ""}},
        GlobRow{"Empty", "", {""}, {"a"}}, GlobRow{"Star", "*", {"", "a", "a/b.c"}, {}},
        GlobRow{"StarCrossesSlashAndDot", "a*z", {"az", "a/b.c/z"}, {"a", "za", "az."}},
        GlobRow{"TwoStars", "*.q_proj.*", {"l.0.q_proj.weight", ".q_proj."}, {"q_proj.weight"}},
        GlobRow{"Question",
                "a?c",
                {"abc",
                 "a\xc3\xa9"
                 "c",
                 "a\xf0\x9f\x98\x80"
                 "c"},
                {"ac", "abbc"}},
        GlobRow{"Range", "l.{0..7}.w", {"l.0.w", "l.7.w"}, {"l.8.w", "l.07.w", "l..w", "l.10.w"}},
        GlobRow{"RangeOverDigits",
                "{8..112}",
                {"8", "9", "10", "99", "100", "112"},
                {"7", "113", "008", "120", "1000", "0"}},
        GlobRow{"PaddedRange", "{001..163}", {"001", "010", "163"}, {"1", "0001", "164", "000"}},
        GlobRow{"OneNumber", "x{5..5}", {"x5"}, {"x", "x55"}},
        GlobRow{
            "Alternatives", "*.{q,k,v}_proj", {"0.q_proj", "0.v_proj"}, {"0.o_proj", "0._proj"}},
        GlobRow{"EmptyAlternative", "w{,.scale}", {"w", "w.scale"}, {"w."}},
        GlobRow{"Nested", "{a{1..2},b{x,y*}}", {"a1", "a2", "bx", "by", "byz"}, {"a", "a3", "bz"}},
        GlobRow{"Escaped", "a\\*\\{\\\\", {"a*{\\"}, {"ab{\\", "a"}},
        GlobRow{"CommaOutsideBraces", "a,b", {"a,b"}, {"a"}},
        GlobRow{"DotsThatAreNoRange", "{a..b,c}", {"a..b", "c"}, {"a"}},
        GlobRow{"CaseMatters", "A", {"A"}, {"a"}}),
    [](const auto& row) { return row.param.label; });

struct BadGlobRow {
  std::string label;
  std::string pattern;
  std::string message;
};

class GlobError : public ::testing::TestWithParam<BadGlobRow> {};

TEST_P(GlobError, SaysWhere) {
  const absl::StatusOr<Glob> glob = Glob::Parse(GetParam().pattern);
  EXPECT_EQ(ReasonOf(glob.status()), ErrorReason::kBadRequest);
  EXPECT_THAT(glob.status().message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, GlobError,
    ::testing::Values(BadGlobRow{"OpenBrace", "ab{c",
                                 "never closed; write \\{ for the character "
                                 "itself at byte 2"},
                      BadGlobRow{"ClosedBrace", "a}", "at byte 1"},
                      BadGlobRow{"Backslash", "a\\", "a backslash"},
                      BadGlobRow{"Downwards", "{7..3}", "smaller to the larger"},
                      BadGlobRow{"HalfRange", "{7..}", "a range is"},
                      BadGlobRow{"LargeNumber", "{1..9999999999}", "may reach 999999999"},
                      BadGlobRow{"Long", std::string(1025, 'a'), "1025 bytes; the limit is 1024"},
                      BadGlobRow{"ManyStates", std::string(600, '?'), "too large"},
                      BadGlobRow{"Deep", std::string(17, '{') + std::string(17, '}'),
                                 "deeper than"}),
    [](const auto& row) { return row.param.label; });

TEST(Glob, RangesAgreeWithCounting) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    uint64_t low = random() % 2000;
    uint64_t high = random() % 2000;
    if (low > high) std::swap(low, high);
    const absl::StatusOr<Glob> glob = Glob::Parse(absl::StrCat("{", low, "..", high, "}"));
    ASSERT_TRUE(glob.ok()) << glob.status();
    for (uint64_t n = 0; n < 2100; ++n) {
      ASSERT_EQ(glob->Matches(absl::StrCat(n)), low <= n && n <= high)
          << n << " in " << low << ".." << high;
    }
  }
}

// An oracle too slow to ship.
bool SlowMatch(absl::string_view pattern, absl::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '*') {
    return SlowMatch(pattern.substr(1), name) ||
           (!name.empty() && SlowMatch(pattern, name.substr(1)));
  }
  return !name.empty() && (pattern[0] == '?' || pattern[0] == name[0]) &&
         SlowMatch(pattern.substr(1), name.substr(1));
}

TEST(Glob, RandomPatternsAgreeWithBacktracking) {
  std::mt19937 random(11);
  const auto text = [&](absl::string_view alphabet) {
    std::string out(random() % 8, ' ');
    for (char& c : out) c = alphabet[random() % alphabet.size()];
    return out;
  };
  for (int round = 0; round < 100'000; ++round) {
    const std::string pattern = text("ab*?");
    const std::string name = text("ab");
    ASSERT_EQ(Glob::Parse(pattern)->Matches(name), SlowMatch(pattern, name))
        << pattern << " on " << name;
  }
}

TEST(Glob, HostilePatternIsLinear) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  const absl::StatusOr<Glob> glob = Glob::Parse(pattern + "b");
  ASSERT_TRUE(glob.ok()) << glob.status();
  // Backtracking would need longer than the universe is old.
  EXPECT_FALSE(glob->Matches(std::string(4000, 'a')));
}

}  // namespace
}  // namespace tensord
