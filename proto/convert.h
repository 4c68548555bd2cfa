// Between the wire's messages and the core's types; the only place that knows both.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/status_details.h"  // IWYU pragma: export
#include "src/model.h"
#include "tensord/slice.h"
#include "tensord/tensor_info.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// ---- Requests ----

// UNKNOWN_FIELD naming the path and number of the first unknown field anywhere in `request`, e.g.
// `selections[3].dims.dims[0]: field 9`; BAD_REQUEST for an enum value that this build does not
// know. A newer client's wish must not turn silently into other bytes.
absl::Status CheckNoUnknownFields(const google::protobuf::Message& request);

// BAD_SLICE for a Dim with nothing set, naming the dimension.
absl::StatusOr<Slice> SliceFromProto(const v1::Dims& dims);

// A slice without ellipsis as dims; one with an ellipsis has no such form (send its text).
v1::Dims DimsToProto(const Slice& slice);

// [begin, end) within `size`. RANGE_OUT_OF_BOUNDS names range and size.
struct ByteInterval {
  uint64_t begin = 0;
  uint64_t end = 0;
};
absl::StatusOr<ByteInterval> ResolveRange(uint64_t offset, std::optional<uint64_t> length,
                                          uint64_t size_bytes);
absl::StatusOr<ByteInterval> ResolveRange(const v1::ByteRange& range, uint64_t size_bytes);

// ---- Answers ----

// Problems beyond the first 99 are counted in the hundredth.
v1::Model ModelToProto(const Model& model);
v1::TensorInfo TensorToProto(const Model& model, const Model::Tensor& tensor);

// DATA_LOSS for a dtype this build does not know or a shape whose size is not size_bytes.
absl::StatusOr<TensorInfo> TensorFromProto(const v1::TensorInfo& tensor);

}  // namespace tensord
