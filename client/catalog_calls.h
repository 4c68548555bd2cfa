// The calls that read no data, each over all its pages. Contracts as in tensord/client.h.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "tensord/model_info.h"
#include "tensord/peek_result.h"
#include "tensord/tensor_info.h"
#include "tensord/tensor_list.h"

namespace tensord {

absl::StatusOr<std::vector<ModelInfo>> ListModels(const Connection& connection, const Call& call,
                                                  const std::string& filter);

absl::StatusOr<TensorList> ListTensors(const Connection& connection, const Call& call,
                                       const std::string& model, const TensorFilter& filter);

absl::StatusOr<TensorInfo> GetTensorInfo(const Connection& connection, const Call& call,
                                         const std::string& model, const std::string& tensor);

absl::StatusOr<PeekResult> PeekTensor(const Connection& connection, const Call& call,
                                      const std::string& model, const PeekRequest& request);

}  // namespace tensord
