#include "server/plan_cost.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/hash/hash.h"
#include "server/page_budget.h"

namespace tensord {
namespace {

// Each is a few milliseconds: results and ranges take about a microsecond, and so does a name with
// a pattern of 100 bytes.
constexpr size_t kQuickRequestBytes = 64 << 10;
constexpr uint64_t kQuickMatches = 1 << 12;     // Results that patterns may have.
constexpr uint64_t kQuickMatchBytes = 1 << 18;  // Names times bytes of patterns.

constexpr uint64_t kQuickItems = kDefaultPageSize;  // Of a page.

constexpr uint64_t kNoDevice = ~uint64_t{1};

// A page of a listing of that many items.
bool IsQuickPage(uint32_t page_size, uint64_t num_items) {
  return std::min<uint64_t>(page_size, num_items) <= kQuickItems;
}

}  // namespace

bool IsQuick(const CatalogView& view, const Model* /*model*/,
             const v1::ListModelsRequest& request) {
  const uint64_t num_models = view.catalog().num_models();
  return IsQuickPage(request.page_size(), num_models) &&
         num_models * request.filter().size() <= kQuickMatchBytes;
}

bool IsQuick(const CatalogView& /*view*/, const Model* model,
             const v1::ListTensorsRequest& request) {
  if (model == nullptr) return true;
  return IsQuickPage(request.page_size(), model->num_tensors()) &&
         model->num_tensors() * request.pattern().size() <= kQuickMatchBytes;
}

bool IsQuick(const CatalogView& /*view*/, const Model* /*model*/,
             const v1::GetMetadataRequest& request) {
  return request.page_size() <= kQuickItems;
}

bool IsQuick(const CatalogView& /*view*/, const Model* /*model*/,
             const v1::GetSliceRequest& request) {
  return request.ByteSizeLong() <= kQuickRequestBytes;
}

bool IsQuick(const CatalogView& /*view*/, const Model* model, const BatchRequestView& request) {
  if (request.size_bytes() > kQuickRequestBytes) return false;
  if (model == nullptr) return true;
  uint64_t matches = 0;
  uint64_t match_bytes = 0;
  BatchRequestView::Selections selections = request.selections();
  while (const std::optional<SelectionView> selection = selections.Next()) {
    if (selection->target != SelectionView::Target::kPattern) continue;
    matches += model->num_tensors();
    match_bytes += model->num_tensors() * selection->name.size();
    if (matches > kQuickMatches || match_bytes > kQuickMatchBytes) return false;
  }
  return true;
}

FilePlace PlaceOfLongCalls(absl::string_view peer) {
  return {kNoDevice, absl::Hash<absl::string_view>()(peer)};
}

}  // namespace tensord
