#include "server/list_tensors.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "server/page_budget.h"
#include "tests/server/store_test.h"

namespace tensord {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class ListTensorsTest : public StoreTest {
 protected:
  static v1::ListTensorsRequest For(const std::string& model) {
    v1::ListTensorsRequest request;
    request.set_model(model);
    return request;
  }

  static std::vector<std::string> Names(const v1::ListTensorsResponse& response) {
    std::vector<std::string> names;
    for (const auto& tensor : response.tensors()) names.push_back(tensor.name());
    return names;
  }

  // The names of all pages; no page is larger than it may be.
  static std::vector<std::string> AllNames(const Catalog& catalog, v1::ListTensorsRequest request) {
    std::vector<std::string> names;
    do {
      const auto page = ListTensors(catalog, request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->ByteSizeLong(), kMaxPageBytes + 1024);
      for (const std::string& name : Names(*page)) names.push_back(name);
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return names;
  }

  void WriteLayers() {
    Write("m.safetensors", {{"layers.10.w", Dtype::kF32, {2, 3}, ""},
                            {"layers.2.w", Dtype::kBF16, {4}, ""},
                            {"layers.2.b", Dtype::kF32, {}, ""},
                            {"norm", Dtype::kU8, {0, 7}, ""}});
  }
};

TEST_F(ListTensorsTest, SaysEverythingOfATensor) {
  WriteLayers();
  const auto response = ListTensors(*Load(), For("m"));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->model(), "m");
  EXPECT_FALSE(response->version().empty());
  EXPECT_THAT(Names(*response), ElementsAre("layers.2.b", "layers.2.w", "layers.10.w", "norm"));
  const v1::TensorInfo& tensor = response->tensors(2);
  EXPECT_EQ(tensor.dtype(), "F32");
  EXPECT_THAT(tensor.shape(), ElementsAre(2, 3));
  EXPECT_EQ(tensor.size_bytes(), 24u);
  EXPECT_EQ(tensor.file(), "m.safetensors");
  const uint64_t header_bytes = std::filesystem::file_size(store_.Path("m.safetensors")) - 36;
  EXPECT_EQ(tensor.offset_bytes(), header_bytes);
  EXPECT_THAT(response->tensors(0).shape(), SizeIs(0));
  EXPECT_THAT(response->tensors(3).shape(), ElementsAre(0, 7));
}

TEST_F(ListTensorsTest, OrdersByOffsetOnRequest) {
  WriteLayers();
  auto request = For("m");
  request.set_order(v1::TENSOR_ORDER_OFFSET);
  const auto response = ListTensors(*Load(), request);
  ASSERT_TRUE(response.ok());
  EXPECT_THAT(Names(*response), ElementsAre("layers.10.w", "layers.2.w", "layers.2.b", "norm"));
  request.set_order(static_cast<v1::TensorOrder>(9));
  EXPECT_THAT(ListTensors(*Load(), request).status(), HasReason(ErrorReason::kBadRequest, "order"));
}

TEST_F(ListTensorsTest, FiltersByPatternAndDtype) {
  WriteLayers();
  auto request = For("m");
  request.set_pattern("layers.{0..5}.*");
  EXPECT_THAT(Names(*ListTensors(*Load(), request)), ElementsAre("layers.2.b", "layers.2.w"));
  request.add_dtypes("BF16");
  EXPECT_THAT(Names(*ListTensors(*Load(), request)), ElementsAre("layers.2.w"));
  request.clear_pattern();
  request.add_dtypes("U8");
  EXPECT_THAT(Names(*ListTensors(*Load(), request)), ElementsAre("layers.2.w", "norm"));
}

TEST_F(ListTensorsTest, BadRequestsNameTheField) {
  WriteLayers();
  auto request = For("m");
  request.add_dtypes("F32");
  request.add_dtypes("float32");
  EXPECT_THAT(ListTensors(*Load(), request).status(),
              HasReason(ErrorReason::kBadRequest, "dtypes[1] is \"float32\""));
  request = For("m");
  request.set_pattern("{a");
  EXPECT_THAT(ListTensors(*Load(), request).status(),
              HasReason(ErrorReason::kBadRequest, "pattern"));
  EXPECT_THAT(ListTensors(*Load(), For("x")).status(), HasReason(ErrorReason::kModelNotFound));
}

TEST_F(ListTensorsTest, AnotherVersionNamesBoth) {
  WriteLayers();
  auto request = For("m");
  const std::string version = ListTensors(*Load(), request)->version();
  request.set_version(version);
  EXPECT_TRUE(ListTensors(*Load(), request).ok());
  request.set_version("older");
  EXPECT_THAT(ListTensors(*Load(), request).status(),
              HasReason(ErrorReason::kVersionChanged, "older"));
  EXPECT_THAT(ListTensors(*Load(), request).status(),
              HasReason(ErrorReason::kVersionChanged, version));
}

TEST_F(ListTensorsTest, EveryPageSizeGivesEveryTensorOnce) {
  WriteLayers();
  const auto catalog = Load();
  for (const uint32_t page_size : {1u, 2u, 3u, 4u, 5u}) {
    auto request = For("m");
    request.set_page_size(page_size);
    EXPECT_THAT(AllNames(*catalog, request),
                ElementsAre("layers.2.b", "layers.2.w", "layers.10.w", "norm"));
    request.set_order(v1::TENSOR_ORDER_OFFSET);
    request.set_pattern("*.w");
    EXPECT_THAT(AllNames(*catalog, request), ElementsAre("layers.10.w", "layers.2.w"));
  }
}

TEST_F(ListTensorsTest, TokensOfAnotherVersionSaySo) {
  WriteLayers();
  auto request = For("m");
  request.set_page_size(1);
  request = NextPage(request, *ListTensors(*Load(), request));
  Write("m.safetensors", {{"x", Dtype::kU8, {1}, ""}, {"y", Dtype::kU8, {1}, ""}});
  EXPECT_THAT(ListTensors(*Load(), request).status(), HasReason(ErrorReason::kVersionChanged));
}

TEST_F(ListTensorsTest, TokensOfOtherRequestsAreRefused) {
  WriteLayers();
  Write("n.safetensors", {{"x", Dtype::kU8, {1}, ""}});
  const auto catalog = Load();
  auto request = For("m");
  request.set_page_size(1);
  const auto good = NextPage(request, *ListTensors(*catalog, request));
  EXPECT_TRUE(ListTensors(*catalog, good).ok());
  const auto refused = [&](auto change) {
    auto changed = good;
    change(changed);
    EXPECT_THAT(ListTensors(*catalog, changed).status(), HasReason(ErrorReason::kBadPageToken));
  };
  refused([](auto& r) { r.set_pattern("*"); });
  refused([](auto& r) { r.add_dtypes("F32"); });
  refused([](auto& r) { r.set_order(v1::TENSOR_ORDER_OFFSET); });
  refused([](auto& r) { r.set_model("n"); });
  refused([](auto& r) { r.set_page_token("nonsense"); });
  refused([](auto& r) { r.mutable_page_token()->pop_back(); });
  auto same = good;
  same.set_model("m.safetensors");  // Another name of the same model would be another model.
  same.set_order(v1::TENSOR_ORDER_NAME);
  same.set_model("m");
  EXPECT_TRUE(ListTensors(*catalog, same).ok());
}

TEST_F(ListTensorsTest, AHundredThousandTensorsArePagedThroughCompletely) {
  constexpr size_t kNumTensors = 100'000;
  std::vector<TestTensor> tensors;
  for (size_t i = 0; i < kNumTensors; ++i) {
    tensors.push_back({absl::StrCat("model.layers.", i / 8, ".mlp.experts.", i % 8, ".weight"),
                       Dtype::kU8,
                       {1},
                       "x"});
  }
  Write("big.safetensors", tensors);
  const auto catalog = Load();
  for (const uint32_t page_size : {0u, 10'000u}) {
    auto request = For("big");
    request.set_page_size(page_size);
    const std::vector<std::string> names = AllNames(*catalog, request);
    ASSERT_EQ(names.size(), kNumTensors);
    for (size_t i = 0; i < kNumTensors; ++i) ASSERT_EQ(names[i], tensors[i].name);
  }
}

TEST_F(ListTensorsTest, LongNamesEndAPageEarly) {
  std::vector<TestTensor> tensors;
  for (int i = 1000; i < 2000; ++i) {
    tensors.push_back({absl::StrCat(i, std::string(4000, 'x')), Dtype::kU8, {1}, "x"});
  }
  Write("long.safetensors", tensors);
  const auto catalog = Load();
  const auto first = ListTensors(*catalog, For("long"));
  EXPECT_LT(first->tensors_size(), 300);
  EXPECT_THAT(AllNames(*catalog, For("long")), SizeIs(1000));
}

TEST_F(ListTensorsTest, NamesOfAnyUnicodeCrossTheWire) {
  const std::string name = "a\n\t\"\\\u6f22\U0001f600/..";
  Write("m.safetensors", {{name, Dtype::kU8, {1}, "x"}, {"", Dtype::kU8, {1}, "x"}});
  const auto response = ListTensors(*Load(), For("m"));
  ASSERT_TRUE(response.ok());
  v1::ListTensorsResponse received;
  ASSERT_TRUE(received.ParseFromString(response->SerializeAsString()));
  EXPECT_THAT(Names(received), ElementsAre("", name));
}

}  // namespace
}  // namespace tensord
