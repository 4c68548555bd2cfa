#include "src/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "tensord/error_reason.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A header `json` in a file with `data_bytes` of data behind it.
absl::StatusOr<SafetensorsHeader> ParseHeader(const std::string& json, uint64_t data_bytes) {
  return SafetensorsHeader::Parse(json, kHeaderLengthBytes + json.size() + data_bytes);
}

std::string Nested(int num_arrays) {
  return std::string(num_arrays, '[') + std::string(num_arrays, ']');
}

// One tensor of 2 F32, with `extra` inside its entry.
std::string WithExtra(const std::string& extra) {
  return R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8],)" + extra + "}}";
}

std::string WithShape(const std::string& shape) {
  return R"({"x":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":[0,4]}})";
}

std::string WithOffsets(const std::string& offsets) {
  return R"({"x":{"dtype":"U8","shape":[4],"data_offsets":)" + offsets + "}}";
}

std::string WithMetadata(const std::string& metadata) {
  return R"({"__metadata__":)" + metadata + "}";
}

struct AcceptedRow {
  const char* name;
  std::string json;
  uint64_t data_bytes;
  size_t num_tensors;
};

class AcceptedHeader : public testing::TestWithParam<AcceptedRow> {};

TEST_P(AcceptedHeader, Parses) {
  const auto header = ParseHeader(GetParam().json, GetParam().data_bytes);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(header->num_tensors(), GetParam().num_tensors);
  EXPECT_EQ(header->json_size_bytes(), GetParam().json.size());
}

INSTANTIATE_TEST_SUITE_P(
    Format, AcceptedHeader,
    testing::Values(
        AcceptedRow{"NoTensors", "{}", 0, 0}, AcceptedRow{"TrailingWhitespace", "{}\r \t\n", 0, 0},
        AcceptedRow{"LeadingWhitespace", "\t\n{}\r ", 0, 0},
        AcceptedRow{"MetadataOnly", WithMetadata(R"({"framework":"pt"})"), 0, 0},
        AcceptedRow{"MetadataNull", WithMetadata("null"), 0, 0},
        AcceptedRow{"MetadataLast",
                    R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{}})", 1,
                    1},
        AcceptedRow{"MetadataInEscapes", R"({"\u005f_metadata__":{"a":"b"}})", 0, 0},
        AcceptedRow{"Scalar", R"({"x":{"dtype":"I32","shape":[],"data_offsets":[0,4]}})", 4, 1},
        AcceptedRow{"ZeroSized", R"({"x":{"dtype":"I32","shape":[2,0],"data_offsets":[0,0]}})", 0,
                    1},
        AcceptedRow{
            "ZeroBeforeHugeExtents",
            R"({"x":{"dtype":"I32","shape":[0,9223372036854775808,4],"data_offsets":[0,0]}})", 0,
            1},
        AcceptedRow{"ZeroSizedListedLast",
                    R"({"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                    R"("b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                    8, 2},
        AcceptedRow{"SeveralZeroSizedAtOneOffset",
                    R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},)"
                    R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("c":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})",
                    4, 3},
        AcceptedRow{"OffsetsOutOfOrder",
                    R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]},)"
                    R"("b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})",
                    4, 2},
        AcceptedRow{"SubByte", R"({"x":{"dtype":"F4","shape":[1,2],"data_offsets":[0,1]}})", 1, 1},
        AcceptedRow{"EmptyName", R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, 1},
        AcceptedRow{"NameWithNul",
                    R"({"a\u0000b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, 1},
        AcceptedRow{"NameLikeAPath",
                    R"({"../a/b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, 1},
        AcceptedRow{"NameInUnicode",
                    "{\"\xc3\xa9\xf0\x9f\x98\x80\":"
                    R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                    1, 1},
        AcceptedRow{"NameInSurrogatePair",
                    R"({"\ud83d\ude00":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, 1},
        AcceptedRow{"UnknownNumber", WithExtra(R"("u":-1.5e300)"), 8, 1},
        AcceptedRow{"UnknownMinusZero", WithExtra(R"("u":-0)"), 8, 1},
        AcceptedRow{"UnknownTinyNumber", WithExtra(R"("u":1e-999)"), 8, 1},
        AcceptedRow{"UnknownBigInteger", WithExtra(R"("u":99999999999999999999999)"), 8, 1},
        AcceptedRow{"UnknownLargestDouble", WithExtra(R"("u":1.7976931348623157e308)"), 8, 1},
        AcceptedRow{"UnknownEverything",
                    WithExtra(R"("u":{"a":[1,null,true,false,"s",{"dtype":"F32"}],"a":2},"u":0)"),
                    8, 1},
        AcceptedRow{"UnknownNestedTo127", WithExtra("\"u\":" + Nested(125)), 8, 1},
        AcceptedRow{"KeysInEscapes",
                    R"({"x":{"\u0064type":"U8","shap\u0065":[1],"data\u005foffsets":[0,1]}})", 1,
                    1},
        AcceptedRow{"WhitespaceEverywhere",
                    " { \"x\" : { \"dtype\" : \"U8\" ,\n\"shape\" : [ 1 ,\t4 ] , "
                    "\"data_offsets\" : [ 0 , 4 ] } } ",
                    4, 1}),
    [](const auto& row) { return row.param.name; });

struct RejectedRow {
  const char* name;
  std::string json;
  uint64_t data_bytes;
  const char* variant;
  const char* message;
};

class RejectedHeader : public testing::TestWithParam<RejectedRow> {};

TEST_P(RejectedHeader, NamesVariantAndReason) {
  const absl::Status status = ParseHeader(GetParam().json, GetParam().data_bytes).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileInvalid);
  EXPECT_EQ(ErrorDetails(status)["variant"], GetParam().variant);
  EXPECT_THAT(std::string(status.message()), StartsWith(absl::StrCat(GetParam().variant, ": ")));
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

constexpr char kJson[] = "InvalidHeaderDeserialization";

INSTANTIATE_TEST_SUITE_P(
    Bytes, RejectedHeader,
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
    Syntax, RejectedHeader,
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
    Schema, RejectedHeader,
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
        RejectedRow{"MetadataKeyTwice", WithMetadata(R"({"a":"1","b":"2","\u0061":"1"})"), 0, kJson,
                    R"(metadata key "a" stands twice)"},
        RejectedRow{"NameTwice",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},)"
                    R"("\u0078":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                    4, kJson, R"(tensor "x" stands twice)"},
        RejectedRow{"ControlCharactersInNameAreEscaped", R"({"a\u001b[31m\nb":1})", 0, kJson,
                    R"("a\x1b[31m\nb")"}),
    [](const auto& row) { return row.param.name; });

std::string ManyAt(int num_tensors, const std::string& offsets) {
  std::string json = "{";
  for (int i = 0; i < num_tensors; ++i) {
    absl::StrAppend(&json, i == 0 ? "" : ",", "\"t", i, "\":{\"dtype\":\"F32\",\"shape\":[2,2],",
                    "\"data_offsets\":", offsets, "}");
  }
  return json + "}";
}

// Their end plus the header's size wraps 2^64.
std::string EightHugeTensors() {
  constexpr uint64_t kSize = (uint64_t{1} << 61) - 1;
  std::string json = "{";
  for (uint64_t i = 0; i < 8; ++i) {
    absl::StrAppend(&json, i == 0 ? "" : ",", "\"t", i, R"(":{"dtype":"U8","shape":[)", kSize,
                    R"(],"data_offsets":[)", i * kSize, ",", (i + 1) * kSize, "]}");
  }
  return json + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Layout, RejectedHeader,
    testing::Values(
        RejectedRow{"FirstNotAtZero", WithOffsets("[1,5]"), 5, "InvalidOffset",
                    R"(tensor "x" begins at 1, wanted 0)"},
        RejectedRow{"Reversed",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[1],"data_offsets":[4,3]}})",
                    5, "InvalidOffset", R"(tensor "y" ends at 3, before it begins at 4)"},
        RejectedRow{"Hole",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})",
                    6, "InvalidOffset", R"(tensor "y" begins at 5, wanted 4)"},
        RejectedRow{"Overlap",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
                    5, "InvalidOffset", R"(tensor "y" begins at 3, wanted 4)"},
        RejectedRow{"TenTensorsInOnePlace", ManyAt(10, "[0,16]"), 16, "InvalidOffset",
                    R"(tensor "t1" begins at 0, wanted 16)"},
        RejectedRow{"ZeroSizedWithinAnother",
                    R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                    R"("y":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                    4, "InvalidOffset", R"(tensor "y" begins at 2, wanted 4)"},
        RejectedRow{"ProductOverflows",
                    R"({"x":{"dtype":"U8","shape":[2,18446744073709551614],"data_offsets":[0,4]}})",
                    4, "ValidationOverflow", R"(tensor "x")"},
        RejectedRow{"BitsOverflow",
                    R"({"x":{"dtype":"U8","shape":[2,9223372036854775807],"data_offsets":[0,4]}})",
                    4, "ValidationOverflow", R"(tensor "x")"},
        RejectedRow{
            "OverflowBeforeZero",
            R"({"x":{"dtype":"U8","shape":[9223372036854775808,4,0],"data_offsets":[0,0]}})", 0,
            "ValidationOverflow", R"(tensor "x")"},
        RejectedRow{"SubByteScalar", R"({"x":{"dtype":"F4","shape":[],"data_offsets":[0,1]}})", 1,
                    "MisalignedSlice", "4 bits"},
        RejectedRow{"SubByteOdd", R"({"x":{"dtype":"F6_E2M3","shape":[3],"data_offsets":[0,3]}})",
                    3, "MisalignedSlice", "18 bits"},
        RejectedRow{
            "OffsetsTooShort", R"({"x":{"dtype":"I32","shape":[2,2],"data_offsets":[0,4]}})", 0,
            "TensorInvalidInfo", "data_offsets of 4 bytes, its dtype I32 and shape need 16"},
        RejectedRow{"OffsetsTooLong", WithOffsets("[0,5]"), 5, "TensorInvalidInfo", "need 4"},
        RejectedRow{"FileTooShort", WithOffsets("[0,4]"), 2, "MetadataIncompleteBuffer",
                    "end at byte 4 of the data section, which has 2 bytes"},
        RejectedRow{"FileTooLong", WithOffsets("[0,4]"), 5, "MetadataIncompleteBuffer",
                    "which has 5 bytes"},
        RejectedRow{"NoTensorsButData", "{}", 1, "MetadataIncompleteBuffer", "which has 1 bytes"},
        RejectedRow{"EarlierTensorIsReported",
                    R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]},)"
                    R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}})",
                    10, "TensorInvalidInfo", R"(tensor "a")"},
        RejectedRow{"EightTensorsThatWrapTheSum", EightHugeTensors(), 2, "MetadataIncompleteBuffer",
                    "18446744073709551608 of the data section"}),
    [](const auto& row) { return row.param.name; });

TEST(SafetensorsHeader, LengthsAreCheckedInTheReferencesOrder) {
  const auto variant = [](uint64_t json_size, uint64_t file_size) {
    return ErrorDetails(CheckHeaderLength(json_size, file_size))["variant"];
  };
  EXPECT_EQ(variant(0xFFFFFF000000003C, 7), "HeaderTooSmall");
  EXPECT_EQ(variant(0xFFFFFF000000003C, 8), "HeaderTooLarge");
  EXPECT_EQ(variant(kMaxHeaderBytes + 1, 1'000'000'000), "HeaderTooLarge");
  EXPECT_EQ(variant(60, 8), "InvalidHeaderLength");
  EXPECT_EQ(variant(60, 67), "InvalidHeaderLength");
  EXPECT_TRUE(CheckHeaderLength(60, 68).ok());
  EXPECT_TRUE(CheckHeaderLength(kMaxHeaderBytes, kMaxHeaderBytes + 8).ok());
}

TEST(SafetensorsHeader, LengthErrorsSayGotAndWanted) {
  EXPECT_THAT(std::string(CheckHeaderLength(0, 3).message()), HasSubstr("3 of the at least 8"));
  EXPECT_THAT(std::string(CheckHeaderLength(100'000'001, 9).message()),
              HasSubstr("100000001 bytes, the limit is 100000000"));
  EXPECT_THAT(std::string(CheckHeaderLength(60, 10).message()),
              HasSubstr("60 bytes, the file only 2"));
}

TEST(SafetensorsHeader, ParseChecksTheLengthItself) {
  EXPECT_EQ(ErrorDetails(SafetensorsHeader::Parse("{}", 9).status())["variant"],
            "InvalidHeaderLength");
  EXPECT_EQ(ErrorDetails(SafetensorsHeader::Parse("{}", 3).status())["variant"], "HeaderTooSmall");
}

TEST(SafetensorsHeader, EntriesStandInOrderOfNamesWithOffsetsInTheFile) {
  const std::string json =
      R"({"b":{"dtype":"F32","shape":[1, 2 ,3],"data_offsets":[0,24]},)"
      R"("a":{"data_offsets":[24,26],"shape":[],"dtype":"BF16"},)"
      R"("\u0061\/b":{"dtype":"U64","shape":[0,18446744073709551615],"data_offsets":[26,26]}})";
  const auto header = ParseHeader(json, 26);
  ASSERT_TRUE(header.ok()) << header.status();
  ASSERT_EQ(header->num_tensors(), 3u);
  const uint64_t data_start = 8 + json.size();
  EXPECT_EQ(header->tensor(0).name, "a");
  EXPECT_EQ(header->tensor(0).dtype, Dtype::kBF16);
  EXPECT_THAT(header->tensor(0).shape, ElementsAre());
  EXPECT_EQ(header->tensor(0).offset_bytes, data_start + 24);
  EXPECT_EQ(header->tensor(0).size_bytes, 2u);
  EXPECT_EQ(header->tensor(1).name, "a/b");
  EXPECT_THAT(header->tensor(1).shape, ElementsAre(0, 18446744073709551615u));
  EXPECT_EQ(header->tensor(1).size_bytes, 0u);
  EXPECT_EQ(header->tensor(2).name, "b");
  EXPECT_THAT(header->tensor(2).shape, ElementsAre(1, 2, 3));
  EXPECT_EQ(header->tensor(2).offset_bytes, data_start);
  EXPECT_EQ(header->tensor(2).size_bytes, 24u);
}

TEST(SafetensorsHeader, FindsEveryNameAndNoOther) {
  const auto header = ParseHeader(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                  R"("":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                                  R"("a\u0000":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                                  3);
  ASSERT_TRUE(header.ok()) << header.status();
  for (size_t i = 0; i < header->num_tensors(); ++i) {
    EXPECT_EQ(header->Find(header->tensor(i).name), i);
  }
  EXPECT_EQ(header->Find("a"), std::nullopt);
  EXPECT_EQ(header->Find("c"), std::nullopt);
  EXPECT_EQ(header->Find("B"), std::nullopt);
}

TEST(SafetensorsHeader, EveryDtypeIsRead) {
  for (int i = 0; i < kNumDtypes; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    const uint64_t size_bytes = BitsPerElement(dtype);  // Of 8 elements.
    const auto header =
        ParseHeader(absl::StrCat(R"({"x":{"dtype":")", DtypeName(dtype),
                                 R"(","shape":[8],"data_offsets":[0,)", size_bytes, "]}}"),
                    size_bytes);
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->tensor(0).dtype, dtype);
  }
}

TEST(SafetensorsHeader, MetadataKeepsOrderAndPresence) {
  const auto header =
      ParseHeader(WithMetadata(R"({"b":"1","a":"\u0000\u00e9\ud83d\ude00\"","":"x"})"), 0);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_TRUE(header->has_metadata());
  ASSERT_EQ(header->num_metadata_entries(), 3u);
  EXPECT_EQ(header->metadata(0).key, "b");
  EXPECT_EQ(header->metadata(0).value, "1");
  EXPECT_EQ(header->metadata(1).key, "a");
  EXPECT_EQ(header->metadata(1).value, absl::string_view("\0\xc3\xa9\xf0\x9f\x98\x80\"", 8));
  EXPECT_EQ(header->metadata(2).key, "");
  EXPECT_EQ(header->metadata(2).value, "x");
}

TEST(SafetensorsHeader, EmptyMetadataIsPresentAndNullIsNot) {
  EXPECT_TRUE(ParseHeader(WithMetadata("{}"), 0)->has_metadata());
  EXPECT_FALSE(ParseHeader(WithMetadata("null"), 0)->has_metadata());
  EXPECT_FALSE(ParseHeader("{}", 0)->has_metadata());
}

TEST(SafetensorsHeader, ViewsSurviveAMove) {
  auto header = ParseHeader(WithShape("[4]"), 4);
  ASSERT_TRUE(header.ok());
  const SafetensorsHeader::Entry entry = header->tensor(0);
  const SafetensorsHeader moved = *std::move(header);
  EXPECT_EQ(entry.name.data(), moved.tensor(0).name.data());
  EXPECT_EQ(entry.shape.data(), moved.tensor(0).shape.data());
}

// What takes most memory for each byte of JSON.
struct MemoryRow {
  const char* name;
  std::string json;
};

class HeaderMemory : public testing::TestWithParam<MemoryRow> {};

TEST_P(HeaderMemory, IsAtMostFourTimesTheJson) {
  const auto header = ParseHeader(GetParam().json, 0);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_LE(header->memory_bytes(), 4 * GetParam().json.size() + 1024);
}

std::string Repeated(const std::string& text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

std::string ManyEmptyTensors(int count) {
  std::string json = "{";
  for (int i = 0; i < count; ++i) {
    absl::StrAppend(&json, i == 0 ? "\"" : ",\"", i,
                    R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})");
  }
  return json + "}";
}

std::string ManyMetadataKeys(int count) {
  std::string json = R"({"__metadata__":{"x":"")";
  for (int i = 0; i < count; ++i) absl::StrAppend(&json, ",\"", i, "\":\"\"");
  return json + "}}";
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, HeaderMemory,
    testing::Values(MemoryRow{"Rank", R"({"x":{"dtype":"U8","data_offsets":[0,0],"shape":[0)" +
                                          Repeated(",0", 500'000) + "]}}"},
                    MemoryRow{"Tensors", ManyEmptyTensors(100'000)},
                    MemoryRow{"MetadataKeys", ManyMetadataKeys(200'000)},
                    MemoryRow{"Unknown", R"({"x":{"dtype":"U8","data_offsets":[0,0],"shape":[0])" +
                                             Repeated(R"(,"a":[[],{}])", 100'000) + "}}"},
                    MemoryRow{"Whitespace", std::string(1'000'000, ' ') + "{}"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace tensord
