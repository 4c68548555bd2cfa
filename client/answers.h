// The server's answers as the library's types.
#pragma once

#include "absl/status/statusor.h"
#include "tensord/model_info.h"
#include "tensord/peek_result.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// DATA_LOSS for a dtype this build does not know. States and reasons of newer servers become
// kInvalid and kUnspecified; their messages stay.
absl::StatusOr<ModelInfo> ModelFromProto(const v1::Model& model);

FileInfo FileFromProto(const v1::FileInfo& file);

// DATA_LOSS also when the values are of more than one kind.
absl::StatusOr<PeekResult> PeekFromProto(const v1::PeekTensorResponse& response);

}  // namespace tensord
