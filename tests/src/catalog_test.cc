#include "src/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CatalogTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::vector<std::string>& tensors,
             const TestMetadata& metadata = {}) {
    std::vector<TestTensor> list;
    for (const std::string& name : tensors) list.push_back({name, Dtype::kF32, {2}, ""});
    WriteSafetensors(dir_.Path(path), list, metadata);
  }
  void WriteIndex(const std::string& path, const std::map<std::string, std::string>& weight_map) {
    WriteBytes(dir_.Path(path), IndexJson(weight_map));
  }

  std::shared_ptr<const Catalog> Load(const std::string& store = "") {
    absl::StatusOr<std::shared_ptr<const Catalog>> catalog =
        Catalog::Load({{store, dir_.path()}}, 2);
    EXPECT_TRUE(catalog.ok()) << catalog.status();
    return *catalog;
  }
  static std::vector<std::string> Ids(const Catalog& catalog) {
    std::vector<std::string> ids;
    for (size_t i = 0; i < catalog.num_models(); ++i) ids.emplace_back(catalog.model_id(i));
    return ids;
  }
  static std::string IdOf(const Catalog& catalog, const std::string& name) {
    const auto model = catalog.Find(name);
    return model.ok() ? (*model)->id()
                      : std::string(ErrorReasonName(ReasonOf(model.status()))) + ": " +
                            std::string(model.status().message());
  }

  TempDir dir_;
};

TEST_F(CatalogTest, EmptyStoreHasNoModels) {
  const auto catalog = Load();
  EXPECT_EQ(catalog->num_models(), 0u);
  EXPECT_THAT(catalog->problems(), IsEmpty());
  EXPECT_THAT(IdOf(*catalog, "x"), AllOf(HasSubstr("MODEL_NOT_FOUND"), HasSubstr("no models")));
}

TEST_F(CatalogTest, MissingStoreIsNamedAsGiven) {
  const auto catalog = Catalog::Load({{"", "/no/such/store"}}, 1);
  EXPECT_EQ(catalog.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(catalog.status().message(), HasSubstr("\"/no/such/store\""));
}

TEST_F(CatalogTest, FileAsStoreIsRefused) {
  WriteBytes(dir_.Path("file"), "x");
  const auto catalog = Catalog::Load({{"", dir_.Path("file")}}, 1);
  EXPECT_EQ(catalog.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(CatalogTest, CanonicalIdIsDirectoryAndGroup) {
  Write("gpt2/model.safetensors", {"a"});
  Write("loose.safetensors", {"b"});
  Write("a/b/c/unet.safetensors", {"c"});
  const auto catalog = Load();
  EXPECT_THAT(Ids(*catalog), ElementsAre("a/b/c/unet", "gpt2/model", "loose"));
  EXPECT_THAT(Ids(*Load("s")), ElementsAre("s/a/b/c/unet", "s/gpt2/model", "s/loose"));
}

struct AliasRow {
  std::string name;
  std::vector<std::string> files;
  std::string asked;
  std::string id;
};

class CatalogAlias : public CatalogTest, public ::testing::WithParamInterface<AliasRow> {};

TEST_P(CatalogAlias, FindsTheModel) {
  for (const std::string& file : GetParam().files) Write(file, {"t"});
  EXPECT_EQ(IdOf(*Load(), GetParam().asked), GetParam().id);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, CatalogAlias,
    ::testing::Values(
        AliasRow{
            "DirectoryMeansModel", {"m/model.safetensors", "m/other.safetensors"}, "m", "m/model"},
        AliasRow{"DirectoryMeansDiffusion",
                 {"m/diffusion_pytorch_model.safetensors", "m/adapter_model.safetensors"},
                 "m",
                 "m/diffusion_pytorch_model"},
        AliasRow{"DirectoryMeansAdapter",
                 {"m/adapter_model.safetensors", "m/pytorch_lora_weights.safetensors"},
                 "m",
                 "m/adapter_model"},
        AliasRow{"DirectoryMeansLora",
                 {"m/pytorch_lora_weights.safetensors", "m/a.safetensors"},
                 "m",
                 "m/pytorch_lora_weights"},
        AliasRow{"DirectoryMeansItsOnlyGroup", {"m/a.safetensors"}, "m", "m/a"},
        AliasRow{"FilePath", {"m/a.safetensors"}, "m/a.safetensors", "m/a"},
        AliasRow{"FilePathAtTheRoot", {"a.safetensors"}, "a.safetensors", "a"},
        AliasRow{"ShardAlone",
                 {"m/x-1-of-2.safetensors", "m/x-2-of-2.safetensors"},
                 "m/x-1-of-2.safetensors",
                 "m/x-1-of-2.safetensors"},
        AliasRow{"CanonicalIdBeatsAlias", {"x.safetensors", "x/model.safetensors"}, "x", "x"},
        AliasRow{"AtSignIsEncoded", {"a@b/m%20.safetensors"}, "a%40b", "a%40b/m%2520"},
        AliasRow{"EncodedFilePath", {"a@b.safetensors"}, "a%40b.safetensors", "a%40b"},
        AliasRow{"VariantIsAGroup",
                 {"m/model.safetensors", "m/model.fp16.safetensors"},
                 "m/model.fp16",
                 "m/model.fp16"}),
    [](const auto& row) { return row.param.name; });

TEST_F(CatalogTest, NameOfTwoThingsIsAmbiguousWithCandidates) {
  Write("m/a.safetensors", {"t"});
  Write("m/b.safetensors", {"t"});
  const auto model = Load()->Find("m");
  EXPECT_EQ(ReasonOf(model.status()), ErrorReason::kAmbiguousModel);
  EXPECT_THAT(model.status().message(), HasSubstr("\"m/a\", \"m/b\""));
  EXPECT_EQ(ErrorDetails(model.status()).at("candidates"), "\"m/a\",\"m/b\"");
}

TEST_F(CatalogTest, UnknownNameGetsTheClosestIds) {
  Write("llama/model.safetensors", {"t"});
  EXPECT_THAT(IdOf(*Load(), "lama/model"),
              AllOf(HasSubstr("MODEL_NOT_FOUND"), HasSubstr("closest: \"llama/model\"")));
}

TEST_F(CatalogTest, ShortNameIsTheShortestThatFindsTheModel) {
  Write("m/model.safetensors", {"t"});
  Write("m/model.fp16.safetensors", {"t"});
  Write("x.safetensors", {"t"});
  Write("x/model.safetensors", {"t"});
  const auto catalog = Load();
  for (const auto& [id, wanted] :
       std::map<std::string, std::string>{{"m/model", "m"},
                                          {"m/model.fp16", "m/model.fp16"},
                                          {"x", "x"},
                                          {"x/model", "x/model"}}) {
    EXPECT_EQ((*catalog->Find(id))->short_name(), wanted) << id;
  }
}

TEST_F(CatalogTest, SeveralStoresNeedDistinctNames) {
  EXPECT_EQ(Catalog::Load({{"a", dir_.path()}, {"a", dir_.path()}}, 1).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Catalog::Load({{"", dir_.path()}, {"a", dir_.path()}}, 1).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Catalog::Load({{"a/b", dir_.path()}}, 1).status().code(),
            absl::StatusCode::kInvalidArgument);
  Write("m/model.safetensors", {"t"});
  const auto both = Catalog::Load({{"a", dir_.path()}, {"b", dir_.path()}}, 1);
  ASSERT_TRUE(both.ok());
  EXPECT_THAT(Ids(**both), ElementsAre("a/m/model", "b/m/model"));
}

TEST_F(CatalogTest, ModelServesItsTensors) {
  WriteSafetensors(dir_.Path("m/model.safetensors"),
                   {{"b", Dtype::kI16, {2, 3}, ""}, {"a", Dtype::kU8, {4}, "wxyz"}});
  const auto model = *Load()->Find("m");
  EXPECT_EQ(model->state(), ModelState::kReady);
  EXPECT_EQ(model->num_tensors(), 2u);
  EXPECT_EQ(model->size_bytes(), 16u);
  EXPECT_EQ(model->num_parameters(), 10u);
  const Model::Tensor tensor = model->tensor(*model->Find("a"));
  const auto mapping = model->Map(tensor.file);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  const auto bytes = (*mapping)->bytes().subspan(tensor.offset_bytes, tensor.size_bytes);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), "wxyz");
  EXPECT_THAT(model->file_order(), ElementsAre(1, 0));
}

TEST_F(CatalogTest, IndexedShardsAreOneModel) {
  Write("m/model-00001-of-00002.safetensors", {"a", "b"});
  Write("m/model-00002-of-00002.safetensors", {"c"});
  WriteIndex("m/model.safetensors.index.json", {{"a", "model-00001-of-00002.safetensors"},
                                                {"b", "model-00001-of-00002.safetensors"},
                                                {"c", "model-00002-of-00002.safetensors"}});
  const auto catalog = Load();
  EXPECT_THAT(Ids(*catalog), ElementsAre("m/model"));
  const auto model = catalog->model(0);
  EXPECT_EQ(model->state(), ModelState::kReady);
  EXPECT_EQ(model->num_tensors(), 3u);
  EXPECT_EQ(model->tensor(*model->Find("c")).file, 1u);
}

}  // namespace
}  // namespace tensord
