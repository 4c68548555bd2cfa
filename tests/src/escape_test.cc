#include "src/escape.h"

#include <gtest/gtest.h>

#include <string>

namespace tensord {
namespace {

struct EscapeCase {
  const char* name;
  std::string input;
  std::string escaped;
};

class EscapeTest : public testing::TestWithParam<EscapeCase> {};

TEST_P(EscapeTest, IsShownSafely) { EXPECT_EQ(Escape(GetParam().input), GetParam().escaped); }

INSTANTIATE_TEST_SUITE_P(Rows, EscapeTest,
                         testing::Values(EscapeCase{"Plain", "h.0.attn/weight", "h.0.attn/weight"},
                                         EscapeCase{"Newline", "a\nb\rc\td", "a\\nb\\rc\\td"},
                                         EscapeCase{"TerminalEscape", "\x1b[31m", "\\x1b[31m"},
                                         EscapeCase{"Nul", std::string("a\0b", 3), "a\\x00b"},
                                         EscapeCase{"Delete", "\x7f", "\\x7f"},
                                         EscapeCase{"C1", "\xc2\x9b", "\\u{9b}"},
                                         EscapeCase{"Bidi", "\xe2\x80\xae", "\\u{202e}"},
                                         EscapeCase{"Backslash", "\\n", "\\\\n"},
                                         EscapeCase{"InvalidUtf8", "a\xff\xc3", "a\\xff\\xc3"},
                                         EscapeCase{"Unicode", "p\xc3\xa9\xf0\x9f\x98\x80",
                                                    "p\xc3\xa9\xf0\x9f\x98\x80"}),
                         [](const auto& row) { return row.param.name; });

TEST(Quote, EscapesQuotesToo) { EXPECT_EQ(Quote("a\"b"), "\"a\\\"b\""); }

TEST(Quote, CutsLongNamesAtACharacter) {
  std::string name;
  for (int i = 0; i < 200; ++i) name += "\xc3\xa9";
  const std::string quoted = Quote(name);
  EXPECT_LE(quoted.size(), kMaxShownBytes + 5);
  EXPECT_EQ(quoted.substr(quoted.size() - 6), "\xc3\xa9...\"");
}

}  // namespace
}  // namespace tensord
