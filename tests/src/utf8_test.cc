#include "src/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace tensord {
namespace {

struct Utf8Case {
  const char* name;
  std::string text;
  size_t first_invalid;
};

class Utf8Test : public testing::TestWithParam<Utf8Case> {};

TEST_P(Utf8Test, FindsTheFirstInvalidByte) {
  EXPECT_EQ(FindInvalidUtf8(GetParam().text), GetParam().first_invalid);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Utf8Test,
    testing::Values(
        Utf8Case{"Empty", "", 0}, Utf8Case{"Ascii", "0123456789", 10},
        Utf8Case{"AllLengths", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10},
        Utf8Case{"Overlong", "12345678\xc0\x80", 8}, Utf8Case{"OverlongThree", "\xe0\x80\x80", 0},
        Utf8Case{"Surrogate", "a\xed\xa0\x80", 1}, Utf8Case{"AboveLast", "\xf4\x90\x80\x80", 0},
        Utf8Case{"LastCodePoint", "\xf4\x8f\xbf\xbf", 4}, Utf8Case{"Truncated", "abc\xe2\x82", 3},
        Utf8Case{"LoneContinuation", "\x80", 0}, Utf8Case{"FiveBytes", "\xf8\x88\x80\x80\x80", 0}),
    [](const auto& row) { return row.param.name; });

TEST(Utf8Prefix, EndsOnACharacter) {
  EXPECT_EQ(Utf8Prefix("ab\xe2\x82\xac", 4), "ab");
  EXPECT_EQ(Utf8Prefix("ab\xe2\x82\xac", 5), "ab\xe2\x82\xac");
  EXPECT_EQ(Utf8Prefix("ab", 0), "");
}

}  // namespace
}  // namespace tensord
