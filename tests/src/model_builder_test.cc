#include "src/model_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "src/catalog.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Malformed sets as they are met in the wild, each with the verdict it must get.
class ModelBuilderTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::vector<std::string>& tensors,
             const TestMetadata& metadata = {}) {
    std::vector<TestTensor> list;
    for (const std::string& name : tensors) list.push_back({name, Dtype::kF32, {2}, ""});
    WriteSafetensors(dir_.Path(path), list, metadata);
  }
  void WriteIndex(const std::map<std::string, std::string>& weight_map) {
    WriteBytes(dir_.Path("m/model.safetensors.index.json"), IndexJson(weight_map));
  }
  std::shared_ptr<const Model> Load(const std::string& name = "m/model") {
    catalog_ = *Catalog::Load({{"", dir_.path()}}, 2);
    const auto model = catalog_->Find(name);
    EXPECT_TRUE(model.ok()) << model.status();
    return *model;
  }
  static std::string Why(const Model& model, const std::string& tensor) {
    const absl::Status status = model.Find(tensor).status();
    return absl::StrCat(ErrorReasonName(ReasonOf(status)), ": ", status.message());
  }

  TempDir dir_;
  std::shared_ptr<const Catalog> catalog_;
};

auto ProblemWith(ErrorReason reason, const std::string& file, const std::string& text) {
  return AllOf(Field(&Problem::reason, reason), Field(&Problem::file, file),
               Field(&Problem::message, HasSubstr(text)));
}

TEST_F(ModelBuilderTest, WhatExceedsTheIndexMemoryIsAProblemAndTheRestIsServed) {
  Write("m/model-00001-of-00002.safetensors", {"a"});
  Write("m/model-00002-of-00002.safetensors", std::vector<std::string>(1, std::string(4000, 'b')));
  CatalogOptions options;
  options.index_memory_bytes = 2000;
  catalog_ = *Catalog::Load({{"", dir_.path()}}, options, [](const std::string&) {});
  const std::shared_ptr<const Model> model = *catalog_->Find("m/model");
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_THAT(model->problems(),
              ElementsAre(ProblemWith(ErrorReason::kFileInvalid, "model-00002-of-00002.safetensors",
                                      "--index-memory")));
  EXPECT_TRUE(model->Find("a").ok());
  EXPECT_EQ(ReasonOf(model->Map(1).status()), ErrorReason::kFileInvalid);
  EXPECT_LE(model->files()[0].header->memory_bytes(), options.index_memory_bytes);
}

TEST_F(ModelBuilderTest, MissingIndexedShardLeavesTheRestServed) {
  Write("m/model-00001-of-00002.safetensors", {"a"});
  WriteIndex(
      {{"a", "model-00001-of-00002.safetensors"}, {"b", "model-00002-of-00002.safetensors"}});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_THAT(model->problems(), ElementsAre(ProblemWith(
                                     ErrorReason::kShardMissing, "model-00002-of-00002.safetensors",
                                     "\"model-00002-of-00002.safetensors\" is missing")));
  EXPECT_TRUE(model->Find("a").ok());
  EXPECT_THAT(Why(*model, "b"),
              AllOf(HasSubstr("SHARD_MISSING"), HasSubstr("model-00002-of-00002.safetensors")));
  EXPECT_THAT(Why(*model, "c"), HasSubstr("TENSOR_NOT_FOUND"));
  EXPECT_EQ(ReasonOf(model->Map(1).status()), ErrorReason::kShardMissing);
}

TEST_F(ModelBuilderTest, CorruptIndexedShardLeavesTheRestServed) {
  Write("m/model-1-of-2.safetensors", {"a"});
  std::string cut = SafetensorsBytes({{"b", Dtype::kF32, {2}, ""}});
  cut.pop_back();
  WriteBytes(dir_.Path("m/model-2-of-2.safetensors"), cut);
  WriteIndex({{"a", "model-1-of-2.safetensors"}, {"b", "model-2-of-2.safetensors"}});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  ASSERT_THAT(model->problems(), SizeIs(1));
  EXPECT_EQ(model->problems()[0].variant, "MetadataIncompleteBuffer");
  EXPECT_TRUE(model->Find("a").ok());
  EXPECT_THAT(Why(*model, "b"), AllOf(HasSubstr("FILE_INVALID"), HasSubstr("model-2-of-2"),
                                      HasSubstr("MetadataIncompleteBuffer")));
  EXPECT_EQ(ErrorDetails(model->Find("b").status()).at("variant"), "MetadataIncompleteBuffer");
}

TEST_F(ModelBuilderTest, TensorThatItsShardLacksIsRefused) {
  Write("m/x.safetensors", {"a"});
  WriteIndex({{"a", "x.safetensors"}, {"b", "x.safetensors"}, {"c", "x.safetensors"}});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_THAT(model->problems(), ElementsAre(ProblemWith(ErrorReason::kFileInvalid, "x.safetensors",
                                                         "lacks tensor \"b\"")));
  EXPECT_THAT(model->problems()[0].message, HasSubstr("and 1 more"));
  EXPECT_THAT(Why(*model, "c"), HasSubstr("FILE_INVALID"));
}

TEST_F(ModelBuilderTest, IndexDecidesWhichDuplicateCounts) {
  Write("m/model-1-of-2.safetensors", {"a", "b"});
  Write("m/model-2-of-2.safetensors", {"a", "c"});
  WriteIndex({{"a", "model-2-of-2.safetensors"}, {"b", "model-1-of-2.safetensors"}});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kReady);
  EXPECT_EQ(model->num_tensors(), 2u);
  EXPECT_EQ(model->tensor(*model->Find("a")).file, 1u);
  EXPECT_THAT(Why(*model, "c"), HasSubstr("TENSOR_NOT_FOUND"));
}

TEST_F(ModelBuilderTest, IndexIsPartOfTheVersion) {
  Write("m/model-1-of-2.safetensors", {"a"});
  Write("m/model-2-of-2.safetensors", {"a"});
  WriteIndex({{"a", "model-1-of-2.safetensors"}});
  Write("m/model-2-of-2.safetensors", {"a"});
  const std::string before = Load()->version();
  EXPECT_EQ(Load()->version(), before);
  WriteIndex({{"a", "model-2-of-2.safetensors"}});
  EXPECT_NE(Load()->version(), before);
}

TEST_F(ModelBuilderTest, StrayShardBesideAnIndexIsNoModelOfItsOwn) {
  Write("m/model-1-of-2.safetensors", {"a"});
  Write("m/model-2-of-2.safetensors", {"b"});
  Write("m/model-1-of-3.safetensors", {"a"});
  Write("m/model.safetensors", {"a"});
  WriteIndex({{"a", "model-1-of-2.safetensors"}, {"b", "model-2-of-2.safetensors"}});
  const auto model = Load();
  EXPECT_EQ(catalog_->num_models(), 1u);
  EXPECT_EQ(model->state(), ModelState::kReady);
  EXPECT_THAT(model->problems(), SizeIs(2));
  EXPECT_THAT(model->problems(), Contains(ProblemWith(ErrorReason::kUnspecified,
                                                      "model-1-of-3.safetensors", "no part")));
  EXPECT_EQ((*catalog_->Find("m/model-1-of-3.safetensors"))->num_tensors(), 1u);
}

TEST_F(ModelBuilderTest, FileOfAnotherStemBesideAnIndexIsAModel) {
  Write("m/model-1-of-1.safetensors", {"a"});
  Write("m/consolidated.safetensors", {"a"});
  WriteIndex({{"a", "model-1-of-1.safetensors"}});
  Load();
  EXPECT_EQ(catalog_->num_models(), 2u);
  EXPECT_EQ(catalog_->model_id(0), "m/consolidated");
}

TEST_F(ModelBuilderTest, DuplicateWithoutIndexIsRefusedByItsBareName) {
  Write("m/model-1-of-2.safetensors", {"a", "b"});
  Write("m/model-2-of-2.safetensors", {"a", "c"});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_EQ(model->num_tensors(), 2u);
  EXPECT_THAT(Why(*model, "a"), AllOf(HasSubstr("FILE_INVALID"), HasSubstr("model-1-of-2"),
                                      HasSubstr("model-2-of-2")));
  EXPECT_TRUE(model->Find("c").ok());
  EXPECT_TRUE((*catalog_->Find("m/model-2-of-2.safetensors"))->Find("a").ok());
}

TEST_F(ModelBuilderTest, TwoSplitsSideBySideAreOneGroup) {
  for (const char* file : {"model-1-of-1", "model-1-of-2", "model-2-of-2"}) {
    Write(absl::StrCat("m/", file, ".safetensors"),
          {std::string(file) == "model-2-of-2" ? "b" : "a"});
  }
  const auto model = Load();
  EXPECT_EQ(catalog_->num_models(), 1u);
  EXPECT_THAT(Why(*model, "a"), HasSubstr("FILE_INVALID"));
  EXPECT_TRUE(model->Find("b").ok());
}

TEST_F(ModelBuilderTest, FewerShardsThanTheirNamesSayIsIncomplete) {
  Write("m/model-00001-of-00003.safetensors", {"a"});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_THAT(model->problems(),
              ElementsAre(ProblemWith(ErrorReason::kShardMissing, "",
                                      "2 of 3 shards of \"model\" are missing: numbers 2, 3")));
  EXPECT_TRUE(model->Find("a").ok());
  EXPECT_THAT(Why(*model, "b"), HasSubstr("SHARD_MISSING"));
  // A file asked for alone is complete.
  EXPECT_EQ((*catalog_->Find("m/model-00001-of-00003.safetensors"))->state(), ModelState::kReady);
}

TEST_F(ModelBuilderTest, HostileShardCountCostsNothing) {
  Write("m/model-1-of-999999999999999999.safetensors", {"a"});
  EXPECT_THAT(Load()->problems(), ElementsAre(ProblemWith(ErrorReason::kShardMissing, "",
                                                          "3, 4, 5, 6, 7, 8, 9, 10, 11, ...")));
}

TEST_F(ModelBuilderTest, ShardsThatCountFromZeroAreComplete) {
  Write("m/model-0-of-2.safetensors", {"a"});
  Write("m/model-1-of-2.safetensors", {"b"});
  EXPECT_EQ(Load()->state(), ModelState::kReady);
}

TEST_F(ModelBuilderTest, CorruptIndexFallsBackToTheShards) {
  Write("m/model-1-of-2.safetensors", {"a"});
  Write("m/model-2-of-2.safetensors", {"b"});
  WriteBytes(dir_.Path("m/model.safetensors.index.json"), "{\"weight_map\": {\"a\": 1}}");
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_THAT(model->problems(),
              ElementsAre(ProblemWith(ErrorReason::kFileInvalid, "model.safetensors.index.json",
                                      "the file of tensor \"a\" is no string (at byte")));
  EXPECT_EQ(model->num_tensors(), 2u);
}

TEST_F(ModelBuilderTest, IndexAloneIsAnInvalidModel) {
  WriteIndex({{"a", "gone.safetensors"}});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kInvalid);
  EXPECT_THAT(Why(*model, "a"), HasSubstr("SHARD_MISSING"));
}

struct TraversalRow {
  std::string label;
  std::string value;
};
class Traversal : public ModelBuilderTest, public ::testing::WithParamInterface<TraversalRow> {};

TEST_P(Traversal, IsRefusedAndReported) {
  Write("secret.safetensors", {"b"});
  Write("m/x.safetensors", {"a"});
  WriteIndex({{"a", "x.safetensors"}, {"b", GetParam().value}});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_TRUE(model->Find("a").ok());
  EXPECT_THAT(Why(*model, "b"), AllOf(HasSubstr("FILE_INVALID"), HasSubstr("the index names")));
}

INSTANTIATE_TEST_SUITE_P(Rows, Traversal,
                         ::testing::Values(TraversalRow{"Up", "../secret.safetensors"},
                                           TraversalRow{"UpInTheMiddle",
                                                        "y/../../secret.safetensors"},
                                           TraversalRow{"Absolute", "/etc/x.safetensors"},
                                           TraversalRow{"OtherKind", "config.json"}),
                         [](const auto& row) { return row.param.label; });

TEST_F(ModelBuilderTest, IndexMayNameSubdirectoriesAndDots) {
  Write("m/sub/x.safetensors", {"a"});
  Write("m/y.safetensors", {"b"});
  WriteIndex({{"a", "sub/x.safetensors"}, {"b", "./y.safetensors"}});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kReady);
  EXPECT_EQ(model->files()[0].name, "sub/x.safetensors");
  EXPECT_EQ(model->files()[1].name, "y.safetensors");
}

TEST_F(ModelBuilderTest, VariantsOfAnIndexAreGroupsOfTheirOwn) {
  Write("m/model-1-of-1.safetensors", {"a"});
  Write("m/model.fp16-1-of-1.safetensors", {"b"});
  Write("m/model-1-of-1.bf16.safetensors", {"c"});
  WriteIndex({{"a", "model-1-of-1.safetensors"}});
  WriteBytes(dir_.Path("m/model.safetensors.index.fp16.json"),
             IndexJson({{"b", "model.fp16-1-of-1.safetensors"}}));
  WriteBytes(dir_.Path("m/model.bf16.safetensors.index.json"),
             IndexJson({{"c", "model-1-of-1.bf16.safetensors"}}));
  Load();
  ASSERT_EQ(catalog_->num_models(), 3u);
  EXPECT_TRUE((*catalog_->Find("m/model"))->Find("a").ok());
  EXPECT_TRUE((*catalog_->Find("m/model.fp16"))->Find("b").ok());
  EXPECT_TRUE((*catalog_->Find("m/model.bf16"))->Find("c").ok());
}

TEST_F(ModelBuilderTest, CorruptSingleFileIsAnInvalidModel) {
  WriteBytes(dir_.Path("m/model.safetensors"), "short");
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kInvalid);
  EXPECT_EQ(model->problems()[0].variant, "HeaderTooSmall");
  EXPECT_THAT(Why(*model, "a"), AllOf(HasSubstr("FILE_INVALID"), HasSubstr("HeaderTooSmall")));
  EXPECT_EQ(model->num_tensors(), 0u);
  // Its bytes can be read all the same.
  EXPECT_TRUE(model->MapFile("model.safetensors").ok());
}

TEST_F(ModelBuilderTest, FileWithoutTensorsIsReady) {
  Write("m/model.safetensors", {});
  EXPECT_EQ(Load()->state(), ModelState::kReady);
}

TEST_F(ModelBuilderTest, TiedTensorNamesTheOneThatWasKept) {
  Write("m/model.safetensors", {"wte.weight"},
        std::map<std::string, std::string>{{"lm_head.weight", "wte.weight"}});
  const auto model = Load();
  EXPECT_THAT(Why(*model, "lm_head.weight"),
              AllOf(HasSubstr("TENSOR_NOT_FOUND"), HasSubstr("tied to \"wte.weight\"")));
}

TEST_F(ModelBuilderTest, UnknownTensorGetsTheClosestNames) {
  Write("m/model.safetensors", {"model.layers.0.q_proj.weight", "other"});
  EXPECT_THAT(Why(*Load(), "model.layer.0.q_proj.weight"),
              HasSubstr("closest: \"model.layers.0.q_proj.weight\""));
}

TEST_F(ModelBuilderTest, OversizedTensorsAreReportedAndNotServed) {
  const std::string long_name(4097, 'n');
  WriteSafetensors(dir_.Path("m/model.safetensors"),
                   {{"a", Dtype::kU8, Shape(65, 1), ""},
                    {"b", Dtype::kU8, Shape(64, 1), ""},
                    {long_name, Dtype::kU8, {1}, ""},
                    {std::string(4096, 'o'), Dtype::kU8, {1}, ""}});
  const auto model = Load();
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_EQ(model->num_tensors(), 2u);
  EXPECT_THAT(model->problems(), ElementsAre(ProblemWith(ErrorReason::kFileInvalid,
                                                         "model.safetensors", "has rank 65")));
  EXPECT_THAT(Why(*model, long_name), HasSubstr("FILE_INVALID"));
  EXPECT_TRUE(model->Find("b").ok());
}

TEST_F(ModelBuilderTest, TotalsCountSubByteElements) {
  WriteSafetensors(
      dir_.Path("m/model.safetensors"),
      {{"f4", Dtype::kF4, {3, 2}, ""}, {"e", Dtype::kF4, {0}, ""}, {"s", Dtype::kF32, {}, ""}});
  const auto model = Load();
  EXPECT_EQ(model->num_parameters(), 7u);
  EXPECT_EQ(model->size_bytes(), 7u);
  ASSERT_THAT(model->dtypes(), SizeIs(2));
  EXPECT_EQ(model->dtypes()[0].dtype, Dtype::kF4);
  EXPECT_EQ(model->dtypes()[0].num_tensors, 2u);
}

TEST_F(ModelBuilderTest, VersionIsOfContentNotOfPlace) {
  Write("m/model.safetensors", {"a"});
  Write("n/model.safetensors", {"a"});
  const auto time = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(dir_.Path("m/model.safetensors"), time);
  std::filesystem::last_write_time(dir_.Path("n/model.safetensors"), time);
  const std::string version = Load("m/model")->version();
  EXPECT_EQ(version.size(), 32u);
  EXPECT_EQ(Load("n/model")->version(), version);
  chmod(dir_.Path("n/model.safetensors").c_str(), 0600);
  EXPECT_EQ(Load("n/model")->version(), version);
  std::filesystem::last_write_time(dir_.Path("n/model.safetensors"),
                                   time + std::chrono::seconds(1));
  EXPECT_NE(Load("n/model")->version(), version);
}

TEST_F(ModelBuilderTest, MappingIsOfTheFileThatWasParsed) {
  Write("m/model.safetensors", {"a"});
  const auto model = Load();
  const auto first = model->Map(0);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*model->Map(0), *first);
}

// With so small a budget no file is kept open ahead.
class UnopenedModel : public ModelBuilderTest {
 protected:
  std::shared_ptr<const Model> LoadUnopened() {
    CatalogOptions options;
    options.max_open_files = 1;
    catalog_ = *Catalog::Load({{"", dir_.path()}}, options, [](const std::string&) {});
    return catalog_->model(0);
  }
};

TEST_F(UnopenedModel, ReplacedFileIsNotMapped) {
  Write("m/model.safetensors", {"a"});
  const auto model = LoadUnopened();
  const auto time = std::filesystem::last_write_time(dir_.Path("m/model.safetensors"));
  Write("new", {"a"});
  std::filesystem::last_write_time(dir_.Path("new"), time);
  std::filesystem::rename(dir_.Path("new"), dir_.Path("m/model.safetensors"));
  const absl::Status status = model->Map(0).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged);
  EXPECT_THAT(status.message(), HasSubstr("\"model.safetensors\" was replaced"));
}

TEST_F(UnopenedModel, RemovedFileIsNotMapped) {
  Write("m/model.safetensors", {"a"});
  const auto model = LoadUnopened();
  std::filesystem::remove(dir_.Path("m/model.safetensors"));
  EXPECT_EQ(ReasonOf(model->Map(0).status()), ErrorReason::kFileChanged);
}

TEST_F(ModelBuilderTest, FileThatWasKeptOpenIsReadAsItWas) {
  Write("m/model.safetensors", {"a"});
  const auto model = Load();
  Write("new", {"something", "else"});
  std::filesystem::rename(dir_.Path("new"), dir_.Path("m/model.safetensors"));
  const auto mapping = model->Map(0);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_EQ((*mapping)->identity().size_bytes, model->files()[0].size_bytes);
}

TEST_F(ModelBuilderTest, SideFilesAreListedAndReadButNeverCode) {
  Write("m/model.safetensors", {"a"});
  WriteBytes(dir_.Path("m/config.json"), "{}");
  WriteBytes(dir_.Path("m/modeling.py"), "import os");
  WriteBytes(dir_.Path("m/tokenizer.model"), "t");
  WriteBytes(dir_.Path("m/.hidden.json"), "{}");
  WriteBytes(dir_.Path("config.json"), "other");
  const auto model = Load();
  EXPECT_THAT(model->side_files(), ElementsAre(Field(&SideFile::name, "config.json"),
                                               Field(&SideFile::name, "tokenizer.model")));
  EXPECT_EQ((*model->MapFile("config.json"))->bytes().size(), 2u);
  for (const char* name : {"modeling.py", "../config.json", ".hidden.json", "", "/etc/passwd"}) {
    EXPECT_EQ(ReasonOf(model->MapFile(name).status()), ErrorReason::kFileNotFound) << name;
  }
  EXPECT_THAT(model->MapFile("confg.json").status().message(),
              HasSubstr("closest: \"config.json\""));
}

}  // namespace
}  // namespace tensord
