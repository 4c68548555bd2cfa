#include "server/catalog_view.h"

#include "server/list_models.h"
#include "tests/server/store_test.h"

namespace tensord {
namespace {

class CatalogViewTest : public StoreTest {
 protected:
  CatalogViewTest() {
    for (const char* model : {"open", "opus", "secret", "both/a", "both/b"}) {
      Write(std::string(model) + ".safetensors", {{"w", Dtype::kU8, {1}, "x"}});
    }
    EXPECT_TRUE(rights_.Add("op*").ok());
    EXPECT_TRUE(rights_.Add("both/a").ok());
  }

  ModelRights rights_;
};

TEST_F(CatalogViewTest, WithoutRightsRestrictedItIsTheCatalog) {
  const auto catalog = Load();
  const CatalogView view(*catalog);
  EXPECT_TRUE(view.Find("secret").ok());
  EXPECT_THAT(view.Find("absent").status(), HasReason(ErrorReason::kModelNotFound));
  EXPECT_TRUE(CatalogView(*catalog, ModelRights::Everything()).Shows("secret"));
}

TEST_F(CatalogViewTest, DeniesByTheNameAlone) {
  const auto catalog = Load();
  const CatalogView view(*catalog, rights_);
  EXPECT_TRUE(view.Find("open").ok());
  for (const char* name : {"secret", "absent", "both", "both/b", ""}) {
    EXPECT_THAT(view.Find(name).status(), HasReason(ErrorReason::kPermissionDenied, "not good for"))
        << name;
  }
}

TEST_F(CatalogViewTest, SuggestsOnlyWhatItShows) {
  ModelRights rights;
  ASSERT_TRUE(rights.Add("{secre,open}").ok());
  const auto catalog = Load();
  const absl::Status status = CatalogView(*catalog, rights).Find("secre").status();
  EXPECT_THAT(status, HasReason(ErrorReason::kModelNotFound));
  EXPECT_EQ(status.message().find("secret"), absl::string_view::npos) << status;
  EXPECT_THAT(CatalogView(*catalog).Find("secre").status(),
              HasReason(ErrorReason::kModelNotFound, "secret"));
}

TEST_F(CatalogViewTest, NamesOnlyCandidatesThatItShows) {
  ModelRights rights;
  ASSERT_TRUE(rights.Add("both").ok());
  const auto catalog = Load();
  EXPECT_THAT(CatalogView(*catalog, rights).Find("both").status(),
              HasReason(ErrorReason::kAmbiguousModel, "\"both/a\", \"both/b\""));
}

TEST_F(CatalogViewTest, HidesSideFilesOfModelsThatItDoesNotShow) {
  const auto catalog = Load();
  const CatalogView view(*catalog, rights_);
  const auto model = view.Find("both/a");
  ASSERT_TRUE(model.ok());
  EXPECT_FALSE(view.ShowsSideFile(**model, "b.safetensors.index.json"));
  EXPECT_FALSE(view.ShowsSideFile(**model, "b.json"));
  for (const char* shown : {"a.json", "config.json", "c.json", "bb.json", "README.md", "b"}) {
    EXPECT_TRUE(view.ShowsSideFile(**model, shown)) << shown;
  }
  EXPECT_TRUE(CatalogView(*catalog).ShowsSideFile(**model, "b.json"));
}

TEST_F(CatalogViewTest, ListsWhatItShows) {
  const auto catalog = Load();
  const auto listed = ListModels(CatalogView(*catalog, rights_), v1::ListModelsRequest());
  ASSERT_TRUE(listed.ok());
  std::vector<std::string> ids;
  for (const v1::Model& model : listed->models()) ids.push_back(model.id());
  EXPECT_THAT(ids, testing::ElementsAre("both/a", "open", "opus"));
}

}  // namespace
}  // namespace tensord
