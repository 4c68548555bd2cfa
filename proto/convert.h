// Between the wire's messages and the core's types; the only place that knows both.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/status.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "src/model.h"
#include "tensord/slice.h"
#include "tensord/tensor_info.h"
#include "tensord/v1/tensord.pb.h"

namespace tensord {

// ---- Statuses ----

// google.rpc.Status with ErrorInfo (domain "tensord", reason, details) and, for TOO_MANY_STREAMS and OUT_OF_BUFFERS,
// RetryInfo, in the trailer "grpc-status-details-bin". Below 4 KiB in all, because the client's metadata limit is 8 KiB:
// a longer message is cut.
grpc::Status ToGrpc(const absl::Status& status);

// The reverse; understands details of other servers too, and drops what it does not know.
absl::Status FromGrpc(const grpc::Status& status);

// ---- Requests ----

// UNKNOWN_FIELD naming the path and number of the first unknown field anywhere in `request`.
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
absl::StatusOr<ByteInterval> ResolveRange(const v1::ByteRange& range, uint64_t size_bytes);

// ---- Answers ----

v1::Model ModelToProto(const Model& model);
v1::TensorInfo TensorToProto(const Model& model, const Model::Tensor& tensor);

// DATA_LOSS for a dtype this build does not know or a shape whose size is not size_bytes.
absl::StatusOr<TensorInfo> TensorFromProto(const v1::TensorInfo& tensor);

}  // namespace tensord
