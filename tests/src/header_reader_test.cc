#include "src/header_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/header_rows.h"

namespace tensord {
namespace {

class UnreadableHeader : public testing::TestWithParam<RejectedRow> {};

TEST_P(UnreadableHeader, NamesVariantAndReason) { ExpectRejected(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Bytes, UnreadableHeader,
    testing::Values(
        RejectedRow{"NotUtf8", "\xff", 0, "InvalidHeader", "byte 0 of the JSON is not UTF-8"},
        RejectedRow{"Overlong", "{\"\xc0\xaf\":1}", 0, "InvalidHeader", "byte 2"},
        RejectedRow{"SurrogateInUtf8", "{\"\xed\xa0\x80\":1}", 0, "InvalidHeader", "byte 2"},
        RejectedRow{"BeyondUnicode", "{\"\xf4\x90\x80\x80\":1}", 0, "InvalidHeader", "byte 2"},
        RejectedRow{"NotUtf8BehindTheObject", "{}\x80", 0, "InvalidHeader", "byte 2"},
        RejectedRow{"Nothing", "", 0, kJson, "empty"},
        RejectedRow{"OnlyWhitespace", "  ", 0, kJson, "empty"},
        RejectedRow{"Bom", "\xef\xbb\xbf{}", 0, kJson, "line 1, column 1"},
        RejectedRow{"TrailingNul", std::string("{}\0", 3), 0, kJson,
                    "NUL byte at line 1, column 3"},
        RejectedRow{"NulInName", std::string("{\"a\0b\":1}", 9), 0, kJson, "NUL byte"},
        RejectedRow{"FormFeedPadding", "{}\f", 0, kJson, "column 3"},
        RejectedRow{"ControlCharacterInString", "{\"a\nb\":1}", 0, kJson, "line 1, column 4"},
        RejectedRow{"LoneHighSurrogate", WithMetadata(R"({"a":"\ud800"})"), 0, kJson, "surrogate"},
        RejectedRow{"LoneLowSurrogate", WithMetadata(R"({"a":"\udc00"})"), 0, kJson,
                    "lone surrogate"},
        RejectedRow{"LoneLowSurrogateInUnknown", WithExtra(R"("u":["\udc00"])"), 8, kJson,
                    "lone surrogate"},
        RejectedRow{"HighSurrogateTwice", WithMetadata(R"({"a":"\ud800\ud800"})"), 0, kJson,
                    "surrogate"},
        RejectedRow{"UnknownEscape", R"({"\x":1})", 0, kJson, "escape"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Syntax, UnreadableHeader,
    testing::Values(
        RejectedRow{"OpenBrace", "{", 0, kJson, "at line 1, column 2 (byte 1 of the JSON)"},
        RejectedRow{"LineAndColumn", "{\n\n  ]", 0, kJson, "line 3, column 3 (byte 5"},
        RejectedRow{"Array", "[]", 0, kJson, "the header must be an object, got an array"},
        RejectedRow{"String", "\"{}\"", 0, kJson, "got a string"},
        RejectedRow{"Null", "null", 0, kJson, "got null"},
        RejectedRow{"Number", "1", 0, kJson, "got a number"},
        RejectedRow{"TwoObjects", "{}{}", 0, kJson, "column 3"},
        RejectedRow{"Comment", "{/**/}", 0, kJson, "column 2"},
        RejectedRow{"TrailingComma", R"({"__metadata__":{"a":"b",}})", 0, kJson, "column 26"},
        RejectedRow{"TrailingCommaInArray", WithShape("[4,]"), 4, kJson, "Invalid value"},
        RejectedRow{"SingleQuotes", "{'a':1}", 0, kJson, "column 2"},
        RejectedRow{"LeadingZero", WithShape("[04]"), 4, kJson, "column"},
        RejectedRow{"NotANumber", WithExtra(R"("u":NaN)"), 8, kJson, "Invalid value"},
        RejectedRow{"Infinity", WithExtra(R"("u":Infinity)"), 8, kJson, "Invalid value"},
        RejectedRow{"PlusSign", WithExtra(R"("u":+1)"), 8, kJson, "Invalid value"},
        RejectedRow{"NestedTo128", WithExtra("\"u\":" + Nested(126)), 8, kJson,
                    R"(tensor "x": nested too deeply)"},
        RejectedRow{"NestedObjects",
                    [] {
                      std::string text = "\"u\":";
                      for (int i = 0; i < 126; ++i) text += "{\"a\":";
                      return WithExtra(text + "1" + std::string(126, '}'));
                    }(),
                    8, kJson, "nested too deeply"},
        RejectedRow{"NestedAMillionTimes", WithExtra("\"u\":" + std::string(1'000'000, '[')), 8,
                    kJson, "nested too deeply"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Schema, UnreadableHeader,
    testing::Values(
        RejectedRow{"EntryAsArray", R"({"x":["F32",[2],[0,8]]})", 8, kJson,
                    R"(tensor "x": the entry must be an object, got an array)"},
        RejectedRow{"EntryAsNumber", R"({"x":1})", 0, kJson, "got a number"},
        RejectedRow{"EntryNull", R"({"x":null})", 0, kJson, "got null"},
        RejectedRow{"DtypeAsObject",
                    R"({"x":{"dtype":{"F32":null},"shape":[2],"data_offsets":[0,8]}})", 8, kJson,
                    "dtype must be a string, got an object"},
        RejectedRow{"DtypeUnknown", R"({"x":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}})",
                    16, kJson, R"(tensor "x": unknown dtype "F128")"},
        RejectedRow{"DtypeLowerCase", R"({"x":{"dtype":"f32","shape":[2],"data_offsets":[0,8]}})",
                    8, kJson, R"(unknown dtype "f32")"},
        RejectedRow{"DtypeMissing", R"({"x":{"shape":[2],"data_offsets":[0,8]}})", 8, kJson,
                    "dtype is missing"},
        RejectedRow{"ShapeMissing", R"({"x":{"dtype":"F32","data_offsets":[0,8]}})", 8, kJson,
                    "shape is missing"},
        RejectedRow{"OffsetsMissing", R"({"x":{"dtype":"F32","shape":[0]}})", 0, kJson,
                    "data_offsets is missing"},
        RejectedRow{"DtypeTwice", WithExtra(R"("dtype":"F32")"), 8, kJson, "dtype stands twice"},
        RejectedRow{"ShapeTwice", WithExtra(R"("shape":[2])"), 8, kJson, "shape stands twice"},
        RejectedRow{"OffsetsTwice", WithExtra(R"("data_offsets":[0,8])"), 8, kJson,
                    "data_offsets stands twice"},
        RejectedRow{"OffsetsEmpty", WithOffsets("[]"), 4, kJson, "data_offsets has 0 of 2"},
        RejectedRow{"OffsetsOfOne", WithOffsets("[0]"), 4, kJson, "data_offsets has 1 of 2"},
        RejectedRow{"OffsetsOfThree", WithOffsets("[0,4,4]"), 4, kJson, "more than 2"},
        RejectedRow{"OffsetsAsString", WithOffsets("\"0,4\""), 4, kJson,
                    "data_offsets must be an array, got a string"},
        RejectedRow{"OffsetsOfStrings", WithOffsets(R"(["0","4"])"), 4, kJson, "got a string"},
        RejectedRow{"OffsetsNested", WithOffsets("[[0,4]]"), 4, kJson, "got an array"},
        RejectedRow{"OffsetNegative", WithOffsets("[-1,4]"), 4, kJson,
                    "integers from 0 to 2^64-1, got -1"},
        RejectedRow{"OffsetTooLarge", WithOffsets("[0,18446744073709551616]"), 4, kJson,
                    "got 18446744073709551616"},
        RejectedRow{"OffsetFar", WithOffsets("[0,184467440737095516150]"), 4, kJson,
                    "got 184467440737095516150"},
        RejectedRow{"OffsetObject", WithOffsets("[{},4]"), 4, kJson, "got an object"},
        RejectedRow{"ShapeNegative", WithShape("[-4]"), 4, kJson, "got -4"},
        RejectedRow{"ShapeMinusZero", WithShape("[-0]"), 4, kJson, "got -0"},
        RejectedRow{"ShapeFloat", WithShape("[4.0]"), 4, kJson, "got 4.0"},
        RejectedRow{"ShapeExponent", WithShape("[4e0]"), 4, kJson, "got 4e0"},
        RejectedRow{"ShapeOfBools", WithShape("[true]"), 4, kJson, "got true"},
        RejectedRow{"ShapeOfNulls", WithShape("[null]"), 4, kJson, "got null"},
        RejectedRow{"ShapeNull", WithShape("null"), 4, kJson, "shape must be an array, got null"},
        RejectedRow{"ShapeTooLarge", WithShape("[18446744073709551616]"), 4, kJson,
                    "got 18446744073709551616"},
        RejectedRow{"UnknownBeyondDouble", WithExtra(R"("u":1e999)"), 8, kJson, "too big"},
        RejectedRow{"UnknownJustBeyondDouble", WithExtra(R"("u":1.9e308)"), 8, kJson,
                    "number out of range: 1.9e308"},
        RejectedRow{"MetadataTwice", R"({"__metadata__":{},"__metadata__":{}})", 0, kJson,
                    "__metadata__ stands twice"},
        RejectedRow{"MetadataTwiceAndNull", R"({"__metadata__":null,"\u005f_metadata__":null})", 0,
                    kJson, "__metadata__ stands twice"},
        RejectedRow{"MetadataArray", WithMetadata("[]"), 0, kJson,
                    "__metadata__ must be an object or null, got an array"},
        RejectedRow{"MetadataOfNumbers", WithMetadata(R"({"a":1})"), 0, kJson,
                    "a value in __metadata__ must be a string, got a number"},
        RejectedRow{"MetadataOfNulls", WithMetadata(R"({"a":null})"), 0, kJson, "got null"},
        RejectedRow{"MetadataOfObjects", WithMetadata(R"({"a":{}})"), 0, kJson, "got an object"},
        RejectedRow{"ControlCharactersInNameAreEscaped", R"({"a\u001b[31m\nb":1})", 0, kJson,
                    R"("a\x1b[31m\nb")"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace tensord
