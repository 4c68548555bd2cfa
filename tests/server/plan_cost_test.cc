#include "server/plan_cost.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/page_budget.h"
#include "tests/server/store_test.h"

namespace tensord {
namespace {

constexpr int kNumTensors = 2000;

class PlanCostTest : public StoreTest {
 protected:
  PlanCostTest() {
    std::vector<TestTensor> tensors;
    for (int i = 0; i < kNumTensors; ++i) {
      tensors.push_back({absl::StrCat("layers.", i, ".w"), Dtype::kU8, {0}, ""});
    }
    Write("m.safetensors", tensors);
    catalog_ = Load();
    model_ = *catalog_->Find("m");
  }

  bool IsQuickBatch(const v1::GetTensorsRequest& request) const {
    const std::string bytes = request.SerializeAsString();
    const std::optional<BatchRequestView> view = BatchRequestView::Read(bytes);
    EXPECT_TRUE(view.has_value());
    return IsQuick(*catalog_, model_.get(), *view);
  }

  std::shared_ptr<const Catalog> catalog_;
  std::shared_ptr<const Model> model_;
};

v1::GetTensorsRequest Patterns(int count, const std::string& pattern) {
  v1::GetTensorsRequest request;
  request.set_model("m");
  for (int i = 0; i < count; ++i) request.add_selections()->set_pattern(pattern);
  return request;
}

TEST_F(PlanCostTest, SomeHundredNamesAreQuickAndAHundredThousandAreNot) {
  v1::GetTensorsRequest request;
  while (request.selections_size() < 1000) request.add_selections()->set_tensor("layers.1.w");
  EXPECT_TRUE(IsQuickBatch(request));
  while (request.selections_size() < 100'000) request.add_selections()->set_tensor("layers.1.w");
  EXPECT_FALSE(IsQuickBatch(request));
}

TEST_F(PlanCostTest, PatternsCountByTheResultsThatTheyMayHave) {
  EXPECT_TRUE(IsQuickBatch(Patterns(2, "*")));
  EXPECT_FALSE(IsQuickBatch(Patterns(100, "*")));
}

TEST_F(PlanCostTest, PatternsCountByTheirLength) {
  EXPECT_TRUE(IsQuickBatch(Patterns(1, std::string(100, '*'))));
  EXPECT_FALSE(IsQuickBatch(Patterns(1, std::string(1000, '*'))));

  v1::ListTensorsRequest tensors;
  tensors.set_pattern("layers.*");
  EXPECT_TRUE(IsQuick(*catalog_, model_.get(), tensors));
  tensors.set_pattern(std::string(1000, '*'));
  EXPECT_FALSE(IsQuick(*catalog_, model_.get(), tensors));

  v1::ListModelsRequest models;
  models.set_filter(std::string(1000, '*'));
  EXPECT_TRUE(IsQuick(*catalog_, nullptr, models));
}

TEST_F(PlanCostTest, PagesOfTheDefaultSizeAreQuickAndTheLargestAreNot) {
  v1::ListTensorsRequest tensors;
  EXPECT_TRUE(IsQuick(*catalog_, model_.get(), tensors));
  tensors.set_page_size(kMaxPageSize);
  EXPECT_FALSE(IsQuick(*catalog_, model_.get(), tensors));

  v1::GetMetadataRequest metadata;
  EXPECT_TRUE(IsQuick(*catalog_, model_.get(), metadata));
  metadata.set_page_size(kMaxPageSize);
  EXPECT_FALSE(IsQuick(*catalog_, model_.get(), metadata));

  v1::ListModelsRequest models;
  models.set_page_size(kMaxPageSize);
  EXPECT_TRUE(IsQuick(*catalog_, nullptr, models)) << "there is one model";
}

TEST_F(PlanCostTest, ASliceOfManyRangesIsNotQuick) {
  v1::GetSliceRequest request;
  request.set_slice("[0:1]");
  EXPECT_TRUE(IsQuick(*catalog_, model_.get(), request));
  v1::Dim& dim = *request.mutable_dims()->add_dims();
  for (int i = 0; i < 100'000; ++i) dim.mutable_ranges()->add_ranges()->set_start(i);
  EXPECT_FALSE(IsQuick(*catalog_, model_.get(), request));
}

TEST_F(PlanCostTest, ANameThatMeansNothingIsToldQuickly) {
  v1::ListTensorsRequest tensors;
  tensors.set_pattern(std::string(1000, '*'));
  EXPECT_TRUE(IsQuick(*catalog_, nullptr, tensors));
}

TEST_F(PlanCostTest, LongCallsOfAPeerShareAPlaceThatNoFileHas) {
  const FilePlace place = PlaceOfLongCalls("10.0.0.1:1000");
  EXPECT_EQ(place, PlaceOfLongCalls("10.0.0.1:1000"));
  EXPECT_FALSE(place == PlaceOfLongCalls("10.0.0.2:1000"));
  EXPECT_EQ(place.device, PlaceOfLongCalls("10.0.0.2:1000").device);
}

}  // namespace
}  // namespace tensord
