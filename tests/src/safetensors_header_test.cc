#include "src/safetensors_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "tests/header_rows.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

class RepeatedName : public testing::TestWithParam<RejectedRow> {};

TEST_P(RepeatedName, IsRejected) { ExpectRejected(GetParam()); }

INSTANTIATE_TEST_SUITE_P(
    Policy, RepeatedName,
    testing::Values(RejectedRow{"MetadataKeyTwice",
                                WithMetadata(R"({"a":"1","b":"2","\u0061":"1"})"), 0, kJson,
                                R"(metadata key "a" stands twice)"},
                    RejectedRow{"NameTwice",
                                R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                R"("y":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},)"
                                R"("\u0078":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                                4, kJson, R"(tensor "x" stands twice)"}),
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
