#include "server/peek_tensor.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "server/chunk_source.h"
#include "server/find_model.h"
#include "src/chunk_cursor.h"
#include "src/decode_values.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/read_runs.h"
#include "src/served_file.h"
#include "src/slice_plan.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

constexpr int64_t kCornerExtent = 8;

// The first positions of the last two dimensions, or of the last but one only, and the first one of
// all others. Ranges, because a dimension may have no position at all.
Slice Corner(size_t rank, bool cut_last) {
  Slice slice;
  for (size_t i = 0; i < rank; ++i) {
    const bool is_last = i + 1 == rank;
    DimRange range;
    if (!is_last || cut_last) range.stop = i + 2 >= rank ? kCornerExtent : 1;
    slice.dims.push_back(range);
  }
  return slice;
}

// A corner of any tensor: where that of a sub-byte dtype would not begin and end on bytes, more.
absl::StatusOr<SlicePlan> PlanCorner(const Model::Tensor& tensor) {
  for (const bool cut_last : {true, false}) {
    auto plan =
        SlicePlan::Create(tensor.dtype, tensor.shape, Corner(tensor.shape.size(), cut_last));
    if (plan.ok()) return plan;
  }
  return SlicePlan::Create(tensor.dtype, tensor.shape, Slice());
}

absl::StatusOr<SlicePlan> Plan(const v1::PeekTensorRequest& request, const Model::Tensor& tensor) {
  switch (request.index_case()) {
    case v1::PeekTensorRequest::kSlice: {
      TENSORD_ASSIGN_OR_RETURN(const Slice slice, Slice::Parse(request.slice()));
      return SlicePlan::Create(tensor.dtype, tensor.shape, slice);
    }
    case v1::PeekTensorRequest::kDims: {
      TENSORD_ASSIGN_OR_RETURN(const Slice slice, SliceFromProto(request.dims()));
      return SlicePlan::Create(tensor.dtype, tensor.shape, slice);
    }
    case v1::PeekTensorRequest::INDEX_NOT_SET:
      break;
  }
  return PlanCorner(tensor);
}

absl::Status ReadFrom(const ServedFile& file, const Model::Tensor& tensor,
                      std::shared_ptr<const SlicePlan> plan, absl::Span<std::byte> bytes) {
  ChunkCursor cursor(std::move(plan), 0, bytes.size());
  const ChunkCursor::Run hull = cursor.Hull(bytes.size());
  TENSORD_RETURN_IF_ERROR(
      PrepareToRead(file, {{tensor.offset_bytes + hull.offset_bytes, hull.size_bytes}}));
  if (file.is_mapped()) {
    cursor.Gather(file.bytes().subspan(tensor.offset_bytes, tensor.size_bytes), bytes);
  } else {
    std::vector<std::byte> scratch(kReadRunsScratchBytes);
    TENSORD_RETURN_IF_ERROR(
        ReadRuns(file, tensor.offset_bytes, cursor, absl::MakeSpan(scratch), bytes));
  }
  return ConfirmRead(file);
}

// The first `size_bytes` of the plan's result. Errors name the file.
absl::StatusOr<std::vector<std::byte>> Read(const Model& model, const Model::Tensor& tensor,
                                            std::shared_ptr<const SlicePlan> plan,
                                            uint64_t size_bytes) {
  std::vector<std::byte> bytes(size_bytes);
  if (bytes.empty()) return bytes;
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const ServedFile> file, model.Map(tensor.file));
  const absl::Status read = ReadFrom(*file, tensor, std::move(plan), absl::MakeSpan(bytes));
  if (read.ok()) return bytes;
  return Annotate(read, absl::StrCat("file ", Quote(model.files()[tensor.file].name)));
}

struct AddValues {
  v1::PeekTensorResponse& response;

  void operator()(const std::vector<double>& values) const {
    response.mutable_doubles()->Add(values.begin(), values.end());
  }
  void operator()(const std::vector<int64_t>& values) const {
    response.mutable_ints()->Add(values.begin(), values.end());
  }
  void operator()(const std::vector<uint64_t>& values) const {
    response.mutable_uints()->Add(values.begin(), values.end());
  }
};

}  // namespace

absl::StatusOr<FilePlace> PlaceToPeek(const CatalogView& catalog,
                                      const v1::PeekTensorRequest& request) {
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model,
                           FindModel(catalog, request.model(), request.version()));
  TENSORD_ASSIGN_OR_RETURN(const size_t index, model->Find(request.tensor()));
  return model->place(model->tensor(index).file);
}

absl::StatusOr<v1::PeekTensorResponse> PeekTensor(const CatalogView& catalog,
                                                  const v1::PeekTensorRequest& request,
                                                  FileFaults* faults) {
  // As in the streams: a new client's wish must not turn silently into other values.
  TENSORD_RETURN_IF_ERROR(CheckNoUnknownFields(request));
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const Model> model,
                           FindModel(catalog, request.model(), request.version()));
  TENSORD_ASSIGN_OR_RETURN(const size_t index, model->Find(request.tensor()));
  const Model::Tensor tensor = model->tensor(index);
  auto planned = Plan(request, tensor);
  if (!planned.ok()) {
    return Annotate(planned.status(), absl::StrCat("tensor ", Quote(tensor.name)));
  }
  const auto plan = std::make_shared<const SlicePlan>(*std::move(planned));

  // Every run is whole bytes, and so is the result; its bits fit uint64 as the tensor's do.
  const uint64_t num_values = plan->size_bytes() * 8 / BitsPerElement(tensor.dtype);
  const uint64_t wanted = request.max_values() == 0 ? kMaxPeekValues : request.max_values();
  const uint64_t num_told = std::min({num_values, wanted, uint64_t{kMaxPeekValues}});
  const auto bytes = Read(*model, tensor, plan, PackedBytes(tensor.dtype, num_told));
  if (!bytes.ok()) {
    const std::string& name = model->files()[tensor.file].name;
    if (faults != nullptr) faults->Report(model->id(), name, bytes.status());
    return bytes.status();
  }

  v1::PeekTensorResponse response;
  response.set_model(model->id());
  response.set_version(model->version());
  *response.mutable_tensor() = TensorToProto(*model, tensor);
  response.mutable_shape()->Add(plan->shape().begin(), plan->shape().end());
  response.set_num_values(num_values);
  response.set_truncated(num_told < num_values);
  std::visit(AddValues{response}, DecodeValues(tensor.dtype, *bytes, num_told));
  return response;
}

}  // namespace tensord
