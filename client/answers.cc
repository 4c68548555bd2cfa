#include "client/answers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

ModelState StateFromProto(v1::ModelState state) {
  switch (state) {
    case v1::MODEL_STATE_READY:
      return ModelState::kReady;
    case v1::MODEL_STATE_INCOMPLETE:
      return ModelState::kIncomplete;
    default:
      return ModelState::kInvalid;
  }
}

ErrorReason ReasonFromProto(int reason) {
  const bool known = reason > 0 && reason < kNumErrorReasons;
  return known ? static_cast<ErrorReason>(reason) : ErrorReason::kUnspecified;
}

Problem ProblemFromProto(const v1::Problem& problem) {
  return {problem.file(), ReasonFromProto(problem.reason()), problem.variant(), problem.message()};
}

absl::StatusOr<DtypeUsage> UsageFromProto(const v1::DtypeUsage& usage) {
  const std::optional<Dtype> dtype = ParseDtype(usage.dtype());
  if (!dtype) {
    return absl::DataLossError(
        absl::StrCat("this build does not know the dtype ", Quote(usage.dtype())));
  }
  return DtypeUsage{*dtype, usage.num_tensors(), usage.num_parameters(), usage.size_bytes()};
}

}  // namespace

absl::StatusOr<ModelInfo> ModelFromProto(const v1::Model& model) {
  ModelInfo info;
  info.id = model.id();
  info.short_name = model.short_name();
  info.version = model.version();
  info.state = StateFromProto(model.state());
  info.num_files = model.num_files();
  info.num_tensors = model.num_tensors();
  info.num_parameters = model.num_parameters();
  info.size_bytes = model.size_bytes();
  for (const auto& usage : model.dtypes()) {
    TENSORD_ASSIGN_OR_RETURN(info.dtypes.emplace_back(), UsageFromProto(usage));
  }
  for (const auto& problem : model.problems()) info.problems.push_back(ProblemFromProto(problem));
  return info;
}

FileInfo FileFromProto(const v1::FileInfo& file) {
  FileInfo info;
  info.name = file.name();
  info.size_bytes = file.size_bytes();
  info.header_bytes = file.header_bytes();
  info.num_tensors = file.num_tensors();
  info.sha256 = file.sha256();
  if (!file.has_metadata()) return info;
  info.metadata.emplace();
  for (const auto& entry : file.metadata().entries()) {
    info.metadata->push_back({entry.key(), entry.value(), entry.value_bytes()});
  }
  return info;
}

absl::StatusOr<PeekResult> PeekFromProto(const v1::PeekTensorResponse& response) {
  PeekResult result;
  result.model = response.model();
  result.version = response.version();
  TENSORD_ASSIGN_OR_RETURN(result.tensor, TensorFromProto(response.tensor()));
  result.shape.assign(response.shape().begin(), response.shape().end());
  result.num_values = response.num_values();
  result.truncated = response.truncated();
  const int kinds =
      (response.doubles_size() > 0) + (response.ints_size() > 0) + (response.uints_size() > 0);
  if (kinds > 1) return absl::DataLossError("the server sends values of more than one kind");
  if (response.ints_size() > 0) {
    result.values = std::vector<int64_t>(response.ints().begin(), response.ints().end());
  } else if (response.uints_size() > 0) {
    result.values = std::vector<uint64_t>(response.uints().begin(), response.uints().end());
  } else {
    result.values = std::vector<double>(response.doubles().begin(), response.doubles().end());
  }
  return result;
}

}  // namespace tensord
