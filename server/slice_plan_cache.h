// Makes slice plans, each only once in a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/batch_request_view.h"
#include "src/model.h"
#include "src/slice_plan.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// The index of a message that has `slice` and `dims`; `encoded` gets the bytes that dims need.
template <typename Message>
IndexView IndexOf(const Message& message, std::string& encoded) {
  if (message.has_dims()) {
    encoded = message.dims().SerializeAsString();
    return {IndexView::Kind::kDims, encoded};
  }
  return {IndexView::Kind::kText, message.slice()};
}

// Not thread-safe; lives for the planning of one call. Remembers indices by their bytes and shapes
// by where they are, so both must outlive it; parsed, 100,000 different lists would take too much.
class SlicePlanCache {
 public:
  // Chooses the index of the following plans. Errors: BAD_SLICE.
  absl::Status UseIndex(const IndexView& index);

  // The number of the plan that the index makes on a tensor of this dtype and shape. Errors: as
  // SlicePlan::Create, and BAD_REQUEST beyond kMaxPlannedRanges ranges in all.
  absl::StatusOr<uint32_t> Plan(const Model::Tensor& tensor);

  const SlicePlan& operator[](uint32_t number) const { return *plans_[number]; }

  std::vector<std::shared_ptr<const SlicePlan>> Take() { return std::move(plans_); }

 private:
  struct Key {
    uint32_t index = 0;  // As numbers_ has it.
    Dtype dtype = Dtype::kU8;
    absl::Span<const uint64_t> shape;

    friend bool operator==(const Key& a, const Key& b) {
      return a.index == b.index && a.dtype == b.dtype && a.shape == b.shape;
    }
    template <typename H>
    friend H AbslHashValue(H state, const Key& key) {
      return H::combine(std::move(state), key.index, key.dtype, key.shape);
    }
  };

  IndexView index_;
  uint32_t index_number_ = 0;  // 0: whole.
  // The two spellings never share a number.
  absl::flat_hash_map<std::pair<IndexView::Kind, absl::string_view>, uint32_t> indices_;
  absl::flat_hash_map<Key, uint32_t> numbers_;
  std::vector<std::shared_ptr<const SlicePlan>> plans_;
  size_t num_ranges_ = 0;
};

}  // namespace tensord
