#include "tensord/slice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/error.h"
#include "tests/src/slice_equal.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

struct GoodRow {
  std::string name;
  std::string text;
  std::vector<Dim> dims;
  std::optional<size_t> ellipsis;
  std::string shown;
};

class GoodSlice : public testing::TestWithParam<GoodRow> {};

TEST_P(GoodSlice, IsReadAndReadBack) {
  const auto slice = Slice::Parse(GetParam().text);
  ASSERT_TRUE(slice.ok()) << slice.status();
  EXPECT_TRUE(IsEqual(*slice, Slice{GetParam().dims, GetParam().ellipsis})) << slice->ToString();
  EXPECT_EQ(slice->ToString(), GetParam().shown);
  const auto again = Slice::Parse(slice->ToString());
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(IsEqual(*slice, *again));
}

constexpr std::nullopt_t kNone = std::nullopt;

INSTANTIATE_TEST_SUITE_P(
    Rows, GoodSlice,
    testing::Values(
        GoodRow{"Nothing", "", {}, kNone, "[]"}, GoodRow{"Brackets", "[]", {}, kNone, "[]"},
        GoodRow{"SpaceInBrackets", " [ \t\r\n ] ", {}, kNone, "[]"},
        GoodRow{"DesignExample",
                "[0:128, ::2, -1]",
                {DimRange{0, 128, kNone}, DimRange{kNone, kNone, 2}, DimIndex{-1}},
                kNone,
                "[0:128, ::2, -1]"},
        GoodRow{"EllipsisFirst", "[..., :64]", {DimRange{kNone, 64, kNone}}, 0, "[..., :64]"},
        GoodRow{"EllipsisLast", "1, ...", {DimIndex{1}}, 1, "[1, ...]"},
        GoodRow{"EllipsisAlone", "...", {}, 0, "[...]"},
        GoodRow{"EllipsisBetween", "[1,...,2]", {DimIndex{1}, DimIndex{2}}, 1, "[1, ..., 2]"},
        GoodRow{"EllipsisAndComma", "[...,]", {}, 0, "[...]"},
        GoodRow{"NoBrackets", "3", {DimIndex{3}}, kNone, "[3]"},
        GoodRow{"TrailingComma", "[1,]", {DimIndex{1}}, kNone, "[1]"},
        GoodRow{"TrailingCommaWithoutBrackets", "1 , ", {DimIndex{1}}, kNone, "[1]"},
        GoodRow{"Plus", "[+1:+2]", {DimRange{1, 2, kNone}}, kNone, "[1:2]"},
        GoodRow{"MinusZero", "-0", {DimIndex{0}}, kNone, "[0]"},
        GoodRow{"Colon", ":", {DimRange{}}, kNone, "[:]"},
        GoodRow{"TwoColons", "::", {DimRange{}}, kNone, "[:]"},
        GoodRow{"StartOnly", "5:", {DimRange{5, kNone, kNone}}, kNone, "[5:]"},
        GoodRow{"StartAndColons", "5::", {DimRange{5, kNone, kNone}}, kNone, "[5:]"},
        GoodRow{"StepOnly", "::-1", {DimRange{kNone, kNone, -1}}, kNone, "[::-1]"},
        GoodRow{"StopAndStep", ":5:2", {DimRange{kNone, 5, 2}}, kNone, "[:5:2]"},
        GoodRow{"StartAndStep", "5::2", {DimRange{5, kNone, 2}}, kNone, "[5::2]"},
        GoodRow{"StepZeroIsForThePlan", "::0", {DimRange{kNone, kNone, 0}}, kNone, "[::0]"},
        GoodRow{"SpaceEverywhere",
                " [ 0 : 1 : 2 , 3 ] ",
                {DimRange{0, 1, 2}, DimIndex{3}},
                kNone,
                "[0:1:2, 3]"},
        GoodRow{"LeadingZeros", "007", {DimIndex{7}}, kNone, "[7]"},
        GoodRow{"Largest",
                "9223372036854775807",
                {DimIndex{INT64_MAX}},
                kNone,
                "[9223372036854775807]"},
        GoodRow{"Smallest",
                "-9223372036854775808",
                {DimIndex{INT64_MIN}},
                kNone,
                "[-9223372036854775808]"}),
    [](const auto& row) { return row.param.name; });

struct BadRow {
  std::string name;
  std::string text;
  std::string message;
  std::string position;
};

class BadSlice : public testing::TestWithParam<BadRow> {};

TEST_P(BadSlice, NamesThePositionWhatWasExpectedAndWhatStands) {
  const auto slice = Slice::Parse(GetParam().text);
  ASSERT_FALSE(slice.ok()) << slice->ToString();
  EXPECT_EQ(ReasonOf(slice.status()), ErrorReason::kBadSlice);
  EXPECT_EQ(slice.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(slice.status().message(), GetParam().message);
  EXPECT_EQ(ErrorDetails(slice.status()).at("position"), GetParam().position);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, BadSlice,
    testing::Values(
        BadRow{"Letter", "[0:x]",
               R"(slice "[0:x]": position 3: expected an integer, ':', ',' or ']', got "x")", "3"},
        BadRow{"LetterAfterIndex", "[0x1]",
               R"(slice "[0x1]": position 2: expected ':', ',' or ']', got "x1")", "2"},
        BadRow{"LetterAfterStop", "0:1 stop",
               R"(slice "0:1 stop": position 4: expected ':', ',' or the end, got "stop")", "4"},
        BadRow{"LetterAfterStep", "0:1:2b",
               R"(slice "0:1:2b": position 5: expected ',' or the end, got "b")", "5"},
        BadRow{"LetterForStep", "::b",
               R"(slice "::b": position 2: expected an integer, ',' or the end, got "b")", "2"},
        BadRow{"ThirdColon", "[1:2:3:4]",
               R"(slice "[1:2:3:4]": position 6: expected ',' or ']', got ":")", "6"},
        BadRow{"None", "[None]",
               R"(slice "[None]": position 1: expected an integer, ':', '...' or ']', got "None")",
               "1"},
        BadRow{
            "NewAxis", "[0, newaxis]",
            R"(slice "[0, newaxis]": position 4: expected an integer, ':' or '...', got "newaxis")",
            "4"},
        BadRow{"NotClosed", "[1",
               R"(slice "[1": position 2: expected ':', ',' or ']', got the end)", "2"},
        BadRow{"OnlyOpened", "[",
               R"(slice "[": position 1: expected an integer, ':', '...' or ']', got the end)",
               "1"},
        BadRow{"NotOpened", "1]",
               R"(slice "1]": position 1: expected ':', ',' or the end, got "]")", "1"},
        BadRow{"TextBehind", "[1] 2", R"(slice "[1] 2": position 4: expected the end, got "2")",
               "4"},
        BadRow{"TwoBrackets", "[[1]]",
               R"(slice "[[1]]": position 1: expected an integer, ':', '...' or ']', got "[")",
               "1"},
        BadRow{"CommaAlone", "[,]",
               R"(slice "[,]": position 1: expected an integer, ':', '...' or ']', got ",")", "1"},
        BadRow{"TwoCommas", "[1,,2]",
               R"(slice "[1,,2]": position 3: expected an integer, ':' or '...', got ",")", "3"},
        BadRow{"TwoIntegers", "1 2",
               R"(slice "1 2": position 2: expected ':', ',' or the end, got "2")", "2"},
        BadRow{
            "TwoEllipses", "[..., 0, ...]",
            R"(slice "[..., 0, ...]": position 9: expected at most one '...' in a slice, got ".")",
            "9"},
        BadRow{"FourDots", "....", R"(slice "....": position 3: expected ',' or the end, got ".")",
               "3"},
        BadRow{"IntegerAfterEllipsis", "[1, ... 2]",
               R"(slice "[1, ... 2]": position 8: expected ',' or ']', got "2")", "8"},
        BadRow{"TwoDots", "..",
               R"(slice "..": position 0: expected an integer, ':', '...' or the end, got ".")",
               "0"},
        BadRow{"Float", "1.5", R"(slice "1.5": position 1: expected ':', ',' or the end, got ".")",
               "1"},
        BadRow{"SignAlone", "[-]",
               R"(slice "[-]": position 2: expected digits after the sign, got "]")", "2"},
        BadRow{"TwoSigns", "--1",
               R"(slice "--1": position 1: expected digits after the sign, got "-")", "1"},
        BadRow{"TooLarge", "[0:9223372036854775808]",
               "slice \"[0:9223372036854775808]\": position 3: expected an integer that fits 64 "
               "bits, got \"9223372036854775808\"",
               "3"},
        BadRow{"TooSmall", "-9223372036854775809",
               "slice \"-9223372036854775809\": position 0: expected an integer that fits 64 bits, "
               "got \"-9223372036854775809\"",
               "0"},
        BadRow{"ManyDigits", "1" + std::string(40, '0'),
               "slice \"1" + std::string(40, '0') +
                   "\": position 0: expected an integer that fits 64 bits, got \"1" +
                   std::string(40, '0') + "\"",
               "0"},
        BadRow{
            "Escape", "[\x1b[31m]",
            R"(slice "[\x1b[31m]": position 1: expected an integer, ':', '...' or ']', got "\x1b")",
            "1"},
        BadRow{
            "NotUtf8", "1:\xff",
            R"(slice "1:\xff": position 2: expected an integer, ':', ',' or the end, got "\xff")",
            "2"},
        BadRow{"OtherScript", "1:é",
               R"(slice "1:é": position 2: expected an integer, ':', ',' or the end, got "é")",
               "2"},
        BadRow{"Nul", std::string("1\0", 2),
               R"(slice "1\x00": position 1: expected ':', ',' or the end, got "\x00")", "1"}),
    [](const auto& row) { return row.param.name; });

TEST(Slice, TextHasALimit) {
  const std::string most = "[" + std::string(kMaxSliceTextBytes - 2, ' ') + "]";
  EXPECT_TRUE(Slice::Parse(most).ok());
  const auto slice = Slice::Parse(most + " ");
  EXPECT_EQ(ReasonOf(slice.status()), ErrorReason::kBadSlice);
  EXPECT_THAT(slice.status().message(), HasSubstr("expected at most 65536 bytes, got 65537"));
  EXPECT_EQ(ErrorDetails(slice.status()).at("position"), "65536");
}

TEST(Slice, LongFaultyTextIsCutInTheMessage) {
  const auto slice = Slice::Parse(std::string(kMaxSliceTextBytes, 'x'));
  EXPECT_EQ(ReasonOf(slice.status()), ErrorReason::kBadSlice);
  EXPECT_LT(slice.status().message().size(), 1000u);
}

TEST(Slice, ManyEntriesAreRead) {
  std::string text = "0";
  for (int i = 1; i < 1000; ++i) text += ",0";
  const auto slice = Slice::Parse(text);
  ASSERT_TRUE(slice.ok()) << slice.status();
  EXPECT_EQ(slice->dims.size(), 1000u);
}

TEST(Slice, ListsAndShardsAreShownForPeople) {
  Slice slice;
  slice.dims = {DimRanges{{{0, 2, kNone}, {6, 8, kNone}}}, Shard{1, 4, 0, 0, false}, DimRanges{},
                Shard{2, 8, 64, 128, true}};
  EXPECT_EQ(slice.ToString(),
            "[{0:2, 6:8}, shard(1/4), {}, shard(2/8, multiple 64, padded to 128, uneven)]");
}

}  // namespace
}  // namespace tensord
