#include "server/list_models.h"

#include "absl/strings/str_cat.h"
#include "tests/server/store_test.h"

namespace tensord {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class ListModelsTest : public StoreTest {
 protected:
  static std::vector<std::string> Ids(const v1::ListModelsResponse& response) {
    std::vector<std::string> ids;
    for (const auto& model : response.models()) ids.push_back(model.id());
    return ids;
  }

  // All pages one after another.
  static std::vector<v1::ListModelsResponse> Pages(const Catalog& catalog,
                                                   v1::ListModelsRequest request) {
    std::vector<v1::ListModelsResponse> pages;
    do {
      auto page = ListModels(catalog, request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      pages.push_back(*page);
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return pages;
  }
};

TEST_F(ListModelsTest, SaysEverythingOfAModel) {
  Write("gpt2/model.safetensors", {{"a", Dtype::kF32, {2, 3}, ""}, {"b", Dtype::kBF16, {5}, ""}});
  const auto response = ListModels(*Load(), {});
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_THAT(response->models(), SizeIs(1));
  const v1::Model& model = response->models(0);
  EXPECT_EQ(model.id(), "gpt2/model");
  EXPECT_EQ(model.short_name(), "gpt2");
  EXPECT_FALSE(model.version().empty());
  EXPECT_EQ(model.state(), v1::MODEL_STATE_READY);
  EXPECT_EQ(model.num_files(), 1u);
  EXPECT_EQ(model.num_tensors(), 2u);
  EXPECT_EQ(model.num_parameters(), 11u);
  EXPECT_EQ(model.size_bytes(), 34u);
  ASSERT_THAT(model.dtypes(), SizeIs(2));
  EXPECT_EQ(model.dtypes(0).dtype(), "BF16");
  EXPECT_EQ(model.dtypes(0).size_bytes(), 10u);
  EXPECT_EQ(model.dtypes(1).dtype(), "F32");
  EXPECT_EQ(model.dtypes(1).num_parameters(), 6u);
  EXPECT_THAT(model.problems(), SizeIs(0));
  EXPECT_EQ(response->next_page_token(), "");
}

TEST_F(ListModelsTest, AnEmptyStoreIsOneEmptyPage) {
  const auto response = ListModels(*Load(), {});
  ASSERT_TRUE(response.ok());
  EXPECT_THAT(response->models(), SizeIs(0));
  EXPECT_EQ(response->next_page_token(), "");
}

TEST_F(ListModelsTest, PagesInOrderOfIdWithoutGapOrRepetition) {
  std::vector<std::string> wanted;
  for (int i = 0; i < 23; ++i) {
    wanted.push_back(absl::StrCat("m", i));
    Write(wanted.back() + ".safetensors", {{"a", Dtype::kU8, {1}, ""}});
  }
  std::sort(wanted.begin(), wanted.end());
  for (const uint32_t page_size : {1u, 5u, 22u, 23u, 24u, 0u}) {
    v1::ListModelsRequest request;
    request.set_page_size(page_size);
    std::vector<std::string> got;
    for (const auto& page : Pages(*Load(), request)) {
      EXPECT_TRUE(page_size == 0 || Ids(page).size() <= page_size) << page_size;
      for (const auto& id : Ids(page)) got.push_back(id);
    }
    EXPECT_EQ(got, wanted) << page_size;
  }
}

TEST_F(ListModelsTest, TheLastPageHasNoToken) {
  for (const char* name : {"a", "b", "c", "d"}) {
    Write(absl::StrCat(name, ".safetensors"), {{"a", Dtype::kU8, {1}, ""}});
  }
  v1::ListModelsRequest request;
  request.set_page_size(2);
  EXPECT_THAT(Pages(*Load(), request), SizeIs(2));
  request.set_filter("{a,b}");
  EXPECT_THAT(Pages(*Load(), request), SizeIs(1));
}

TEST_F(ListModelsTest, FilterIsAGlobOnIds) {
  for (const char* name : {"a/model", "b/model", "b/other", "c10", "c9"}) {
    Write(absl::StrCat(name, ".safetensors"), {{"a", Dtype::kU8, {1}, ""}});
  }
  const auto ids = [&](const std::string& filter) {
    v1::ListModelsRequest request;
    request.set_filter(filter);
    return Ids(*ListModels(*Load(), request));
  };
  EXPECT_THAT(ids("*/model"), ElementsAre("a/model", "b/model"));
  EXPECT_THAT(ids("c?"), ElementsAre("c9"));
  EXPECT_THAT(ids("c{8..10}"), ElementsAre("c10", "c9"));
  EXPECT_THAT(ids("nothing"), ElementsAre());
}

TEST_F(ListModelsTest, AMalformedFilterIsABadRequest) {
  v1::ListModelsRequest request;
  request.set_filter("{a");
  EXPECT_THAT(ListModels(*Load(), request).status(), HasReason(ErrorReason::kBadRequest, "filter"));
}

TEST_F(ListModelsTest, GoesOnThoughModelsCameAndWent) {
  for (const char* name : {"b", "d", "f"}) {
    Write(absl::StrCat(name, ".safetensors"), {{"a", Dtype::kU8, {1}, ""}});
  }
  v1::ListModelsRequest request;
  request.set_page_size(2);
  const auto first = ListModels(*Load(), request);
  EXPECT_THAT(Ids(*first), ElementsAre("b", "d"));
  std::filesystem::remove(store_.Path("d.safetensors"));
  for (const char* name : {"a", "e"}) {
    Write(absl::StrCat(name, ".safetensors"), {{"a", Dtype::kU8, {1}, ""}});
  }
  EXPECT_THAT(Ids(*ListModels(*Load(), NextPage(request, *first))), ElementsAre("e", "f"));
}

TEST_F(ListModelsTest, TokensOfOtherRequestsAreRefused) {
  for (const char* name : {"a", "b"}) {
    Write(absl::StrCat(name, ".safetensors"), {{"a", Dtype::kU8, {1}, ""}});
  }
  v1::ListModelsRequest request;
  request.set_page_size(1);
  request = NextPage(request, *ListModels(*Load(), request));
  request.set_page_size(9);  // May change.
  EXPECT_TRUE(ListModels(*Load(), request).ok());
  request.set_filter("*");
  EXPECT_THAT(ListModels(*Load(), request).status(), HasReason(ErrorReason::kBadPageToken));
  request.set_page_token("nonsense");
  EXPECT_THAT(ListModels(*Load(), request).status(), HasReason(ErrorReason::kBadPageToken));
}

TEST_F(ListModelsTest, InvalidFilesAreReportedWithTheirRule) {
  WriteBytes(store_.Path("bad.safetensors"), "abc");
  const auto response = ListModels(*Load(), {});
  ASSERT_TRUE(response.ok());
  ASSERT_THAT(response->models(), SizeIs(1));
  EXPECT_EQ(response->models(0).state(), v1::MODEL_STATE_INVALID);
  ASSERT_THAT(response->models(0).problems(), SizeIs(1));
  const v1::Problem& problem = response->models(0).problems(0);
  EXPECT_EQ(problem.file(), "bad.safetensors");
  EXPECT_EQ(problem.reason(), v1::FILE_INVALID);
  EXPECT_EQ(problem.variant(), "HeaderTooSmall");
  EXPECT_FALSE(problem.message().empty());
}

TEST_F(ListModelsTest, ProblemsBeyondNinetyNineAreCounted) {
  std::map<std::string, std::string> weight_map;
  for (int i = 0; i < 250; ++i) {
    weight_map[absl::StrCat("t", i)] = absl::StrCat("model-", i, "-of-250.safetensors");
  }
  WriteBytes(store_.Path("m/model.safetensors.index.json"), IndexJson(weight_map));
  const auto response = ListModels(*Load(), {});
  ASSERT_THAT(response->models(), SizeIs(1));
  const v1::Model& model = response->models(0);
  ASSERT_THAT(model.problems(), SizeIs(100));
  EXPECT_EQ(model.problems(0).reason(), v1::SHARD_MISSING);
  EXPECT_EQ(model.problems(99).message(), "and 151 more problems");
}

}  // namespace
}  // namespace tensord
