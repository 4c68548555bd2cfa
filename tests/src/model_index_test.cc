#include "src/model_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "src/error.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ModelIndex, SortsTensorsAndFiles) {
  const auto index =
      ModelIndex::Parse(R"({"weight_map": {"b": "z", "a": "y", "c": "y"}, "metadata": {}})");
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_THAT(index->files(), ElementsAre("y", "z"));
  ASSERT_EQ(index->num_tensors(), 3u);
  EXPECT_EQ(index->entry(0).tensor, "a");
  EXPECT_EQ(index->entry(0).file, 0u);
  EXPECT_EQ(index->entry(1).tensor, "b");
  EXPECT_EQ(index->entry(1).file, 1u);
  EXPECT_EQ(index->digest().size(), 32u);
}

struct IndexRow {
  std::string label;
  std::string json;
  std::string message;  // Empty: it is read.
};

class ModelIndexRow : public ::testing::TestWithParam<IndexRow> {};

TEST_P(ModelIndexRow, IsReadOrRefusedWithTheCause) {
  const auto index = ModelIndex::Parse(GetParam().json);
  if (GetParam().message.empty()) {
    EXPECT_TRUE(index.ok()) << index.status();
  } else {
    EXPECT_EQ(ReasonOf(index.status()), ErrorReason::kFileInvalid);
    EXPECT_THAT(index.status().message(), HasSubstr(GetParam().message));
  }
}

std::string Nested(size_t depth) {
  return absl::StrCat(R"({"weight_map": {}, "x": )", std::string(depth, '['),
                      std::string(depth, ']'), "}");
}

INSTANTIATE_TEST_SUITE_P(
    Rows, ModelIndexRow,
    ::testing::Values(
        IndexRow{"NoMetadata", R"({"weight_map": {"a": "f"}})", ""},
        IndexRow{"TotalSizeIsAFloat", R"({"metadata": {"total_size": 1.5e300}, "weight_map": {}})",
                 ""},
        IndexRow{"TotalSizeIsAString", R"({"metadata": {"total_size": "1"}, "weight_map": {}})",
                 ""},
        IndexRow{"MapInsideMetadataIsNotIt", R"({"metadata": {"weight_map": 1}, "weight_map": {}})",
                 ""},
        IndexRow{"SameTensorTwiceInOneFile", R"({"weight_map": {"a": "f", "a": "f"}})", ""},
        IndexRow{"SameTensorInTwoFiles", R"({"weight_map": {"a": "f", "a": "g"}})",
                 R"(places tensor "a" in two files, "f" and "g")"},
        IndexRow{"NoMap", R"({"metadata": {}})", "has no weight_map"},
        IndexRow{"MapTwice", R"({"weight_map": {}, "weight_map": {}})", "stands twice"},
        IndexRow{"MapIsAList", R"({"weight_map": []})", "weight_map is no object"},
        IndexRow{"MapIsNull", R"({"weight_map": null})", "weight_map is no object"},
        IndexRow{"MapIsAString", R"({"weight_map": "f"})", "weight_map is no object"},
        IndexRow{"FileIsAnObject", R"({"weight_map": {"a": {}}})",
                 R"(file of tensor "a" is no string)"},
        IndexRow{"FileIsAList", R"({"weight_map": {"a": ["f"]}})",
                 R"(file of tensor "a" is no string)"},
        IndexRow{"FileIsANumber", R"({"weight_map": {"a": 1}})",
                 R"(file of tensor "a" is no string)"},
        IndexRow{"TopIsAList", "[]", "wanted an object"}, IndexRow{"TopIsANumber", "1", "wanted"},
        IndexRow{"TopIsAString", R"("x")", "wanted an object"},
        IndexRow{"Empty", "", "is not valid JSON"},
        IndexRow{"Cut", R"({"weight_map": {"a": )", "is not valid JSON"},
        IndexRow{"TrailingText", R"({"weight_map": {}} x)", "is not valid JSON"},
        IndexRow{"NotUtf8", "{\"weight_map\": {\"\xff\": \"f\"}}", "is not UTF-8 at byte 17"},
        IndexRow{"Deep", Nested(100), ""}, IndexRow{"TooDeep", Nested(1'000'000), "nests deeper"}),
    [](const auto& row) { return row.param.label; });

TEST(ModelIndex, HugeTextIsRefusedBeforeItIsRead) {
  EXPECT_THAT(ModelIndex::Parse(std::string(kMaxIndexBytes + 1, ' ')).status().message(),
              HasSubstr("more than the limit of 67108864"));
}

TEST(ModelIndex, FilesStayBelowTheIndex) {
  EXPECT_EQ(*ResolveIndexFile("m", "x.safetensors"), "m/x.safetensors");
  EXPECT_EQ(*ResolveIndexFile("", ".//y/./x.safetensors"), "y/x.safetensors");
  EXPECT_EQ(*ResolveIndexFile("m", "..x.safetensors"), "m/..x.safetensors");
  for (const char* bad : {"", "..", "../x.safetensors", "a/../x.safetensors", "/x.safetensors",
                          "x.bin", "x.safetensors/", "x.safetensors/.."}) {
    EXPECT_EQ(ReasonOf(ResolveIndexFile("m", bad).status()), ErrorReason::kFileInvalid) << bad;
  }
}

}  // namespace
}  // namespace tensord
