#include "server/list_tensors.h"

#include <bitset>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "server/find_model.h"
#include "server/optional_glob.h"
#include "server/page_budget.h"
#include "server/page_token.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using Request = v1::ListTensorsRequest;
using DtypeSet = std::bitset<kNumDtypes>;

std::string KnownDtypes() {
  std::string names;
  for (int i = 0; i < kNumDtypes; ++i) {
    absl::StrAppend(&names, i == 0 ? "" : " ", DtypeName(static_cast<Dtype>(i)));
  }
  return names;
}

// All dtypes where the request names none.
absl::StatusOr<DtypeSet> ParseDtypes(const Request& request) {
  DtypeSet dtypes;
  if (request.dtypes().empty()) return dtypes.set();
  for (int i = 0; i < request.dtypes_size(); ++i) {
    const auto dtype = ParseDtype(request.dtypes(i));
    if (!dtype) {
      return MakeError(ErrorReason::kBadRequest,
                       absl::StrCat("dtypes[", i, "] is ", Quote(request.dtypes(i)),
                                    ", wanted one of ", KnownDtypes()));
    }
    dtypes.set(static_cast<size_t>(*dtype));
  }
  return dtypes;
}

absl::StatusOr<absl::Span<const uint32_t>> OrderOf(const Model& model, const Request& request) {
  switch (request.order()) {
    case v1::TENSOR_ORDER_UNSPECIFIED:
    case v1::TENSOR_ORDER_NAME:
      return model.natural_order();
    case v1::TENSOR_ORDER_OFFSET:
      return model.file_order();
    default:
      return MakeError(ErrorReason::kBadRequest,
                       absl::StrCat("order: ", static_cast<int>(request.order()),
                                    " is no value of TensorOrder"));
  }
}

// The model by its id, because a page may ask for it by another of its names.
uint64_t QueryOf(const Model& model, const Request& request, const DtypeSet& dtypes) {
  const bool by_offset = request.order() == v1::TENSOR_ORDER_OFFSET;
  return Query()
      .Add(model.id())
      .Add(request.pattern())
      .Add(uint64_t{dtypes.to_ullong()})
      .Add(uint64_t{by_offset})
      .hash();
}

// Where the request's page begins in the order.
absl::StatusOr<size_t> FirstOf(const Model& model, const Request& request, uint64_t query) {
  if (request.page_token().empty()) return size_t{0};
  TENSORD_ASSIGN_OR_RETURN(const PageToken token,
                           PageToken::DecodeFor(request.page_token(), PageToken::Listing::kTensors,
                                                query, model.version()));
  if (token.position[0] > model.num_tensors()) {
    return MakeError(
        ErrorReason::kBadPageToken,
        absl::StrCat("page token is of tensor ", token.position[0], " of ", model.num_tensors()));
  }
  return token.position[0];
}

}  // namespace

absl::StatusOr<v1::ListTensorsResponse> ListTensors(const CatalogView& catalog,
                                                    const Request& request) {
  TENSORD_ASSIGN_OR_RETURN(const OptionalGlob pattern,
                           OptionalGlob::Parse("pattern", request.pattern()));
  TENSORD_ASSIGN_OR_RETURN(const DtypeSet dtypes, ParseDtypes(request));
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model,
                           FindModel(catalog, request.model(), request.version()));
  TENSORD_ASSIGN_OR_RETURN(const absl::Span<const uint32_t> order, OrderOf(*model, request));
  const uint64_t query = QueryOf(*model, request, dtypes);
  TENSORD_ASSIGN_OR_RETURN(size_t place, FirstOf(*model, request, query));

  v1::ListTensorsResponse response;
  response.set_model(model->id());
  response.set_version(model->version());
  PageBudget budget(request.page_size());
  for (; place < order.size(); ++place) {
    const Model::Tensor tensor = model->tensor(order[place]);
    if (!dtypes.test(static_cast<size_t>(tensor.dtype)) || !pattern.Matches(tensor.name)) continue;
    v1::TensorInfo info = TensorToProto(*model, tensor);
    if (!budget.Admit(info)) {
      const PageToken next = {PageToken::Listing::kTensors, query, model->version(), {place}};
      response.set_next_page_token(next.Encode());
      break;
    }
    *response.add_tensors() = std::move(info);
  }
  return response;
}

}  // namespace tensord
