#include "server/list_models.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "proto/convert.h"
#include "server/optional_glob.h"
#include "server/page_budget.h"
#include "server/page_token.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// The first model behind `id`, which itself may have gone.
size_t FirstAfter(const Catalog& catalog, absl::string_view id) {
  size_t begin = 0;
  size_t end = catalog.num_models();
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    if (catalog.model_id(middle) <= id) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

}  // namespace

absl::StatusOr<v1::ListModelsResponse> ListModels(const CatalogView& view,
                                                  const v1::ListModelsRequest& request) {
  const Catalog& catalog = view.catalog();
  TENSORD_ASSIGN_OR_RETURN(const OptionalGlob filter,
                           OptionalGlob::Parse("filter", request.filter()));
  PageToken next;
  next.listing = PageToken::Listing::kModels;
  next.query = Query().Add(request.filter()).hash();
  size_t index = 0;
  if (!request.page_token().empty()) {
    TENSORD_ASSIGN_OR_RETURN(
        const PageToken token,
        PageToken::Decode(request.page_token(), PageToken::Listing::kModels, next.query));
    index = FirstAfter(catalog, token.text);
  }

  v1::ListModelsResponse response;
  PageBudget budget(request.page_size());
  for (; index < catalog.num_models(); ++index) {
    const absl::string_view id = catalog.model_id(index);
    if (!filter.Matches(id) || !view.Shows(id)) continue;
    v1::Model model;
    if (!budget.is_full()) model = ModelToProto(*catalog.model(index));
    if (!view.Shows(model.short_name())) model.set_short_name(model.id());
    if (budget.is_full() || !budget.Admit(model)) {
      next.text = response.models().rbegin()->id();
      response.set_next_page_token(next.Encode());
      break;
    }
    *response.add_models() = std::move(model);
  }
  return response;
}

}  // namespace tensord
