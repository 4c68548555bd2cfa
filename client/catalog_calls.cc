#include "client/catalog_calls.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/answers.h"
#include "client/page_loop.h"
#include "client/slice_index.h"
#include "proto/convert.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {

absl::StatusOr<std::vector<ModelInfo>> ListModels(const Connection& connection, const Call& call,
                                                  const std::string& filter) {
  std::vector<ModelInfo> models;
  v1::ListModelsRequest request;
  request.set_filter(filter);
  TENSORD_RETURN_IF_ERROR(ForEachPage(connection, &v1::TensorStore::Stub::ListModels, request, call,
                                      [&](const v1::ListModelsResponse& page) -> absl::Status {
                                        for (const auto& model : page.models()) {
                                          TENSORD_ASSIGN_OR_RETURN(models.emplace_back(),
                                                                   ModelFromProto(model));
                                        }
                                        return absl::OkStatus();
                                      }));
  return models;
}

absl::StatusOr<TensorList> ListTensors(const Connection& connection, const Call& call,
                                       const std::string& model, const TensorFilter& filter) {
  v1::ListTensorsRequest request;
  request.set_model(model);
  request.set_version(call.version);
  request.set_pattern(filter.pattern);
  for (const Dtype dtype : filter.dtypes) request.add_dtypes(std::string(DtypeName(dtype)));
  request.set_order(filter.order == TensorOrder::kOffset ? v1::TENSOR_ORDER_OFFSET
                                                         : v1::TENSOR_ORDER_NAME);
  TensorList list;
  bool first = true;
  TENSORD_RETURN_IF_ERROR(ForEachPage(
      connection, &v1::TensorStore::Stub::ListTensors, request, call,
      [&](const v1::ListTensorsResponse& page) -> absl::Status {
        if (!std::exchange(first, false) && page.version() != list.version) {
          return absl::DataLossError("the server lists two versions in one listing");
        }
        list.model = page.model();
        list.version = page.version();
        for (const auto& tensor : page.tensors()) {
          TENSORD_ASSIGN_OR_RETURN(list.tensors.emplace_back(), TensorFromProto(tensor));
        }
        return absl::OkStatus();
      }));
  return list;
}

absl::StatusOr<TensorInfo> GetTensorInfo(const Connection& connection, const Call& call,
                                         const std::string& model, const std::string& tensor) {
  v1::GetMetadataRequest request;
  request.set_model(model);
  request.set_version(call.version);
  request.set_tensor(tensor);
  TENSORD_ASSIGN_OR_RETURN(const v1::GetMetadataResponse response,
                           connection.Ask(&v1::TensorStore::Stub::GetMetadata, request, call));
  if (response.tensor().name() != tensor) {
    return absl::DataLossError(absl::StrCat("the server describes tensor ",
                                            Quote(response.tensor().name()), ", asked for was ",
                                            Quote(tensor)));
  }
  return TensorFromProto(response.tensor());
}

absl::StatusOr<PeekResult> PeekTensor(const Connection& connection, const Call& call,
                                      const std::string& model, const PeekRequest& peek) {
  v1::PeekTensorRequest request;
  request.set_model(model);
  request.set_version(call.version);
  request.set_tensor(peek.tensor);
  request.set_max_values(peek.max_values);
  if (peek.slice) {
    TENSORD_RETURN_IF_ERROR(SetIndex(*peek.slice, request));
    // An empty slice is all of the tensor, while no index at all is a corner of it.
    if (request.index_case() == v1::PeekTensorRequest::INDEX_NOT_SET) request.mutable_dims();
  }
  TENSORD_ASSIGN_OR_RETURN(const v1::PeekTensorResponse response,
                           connection.Ask(&v1::TensorStore::Stub::PeekTensor, request, call));
  return PeekFromProto(response);
}

}  // namespace tensord
