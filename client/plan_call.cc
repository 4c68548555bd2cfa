#include <utility>

#include "absl/strings/str_cat.h"
#include "client/batch_calls.h"
#include "client/batch_request.h"
#include "client/chunk_assembler.h"
#include "client/tensor_stream.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

absl::StatusOr<bool> AddTo(BatchRequest& request, const Selection& selection) {
  if (selection.tensor.empty() == selection.pattern.empty()) {
    return MakeError(ErrorReason::kBadRequest,
                     "a selection needs either a tensor's name or a pattern");
  }
  const bool is_pattern = selection.tensor.empty();
  return request.Add(
      {is_pattern ? selection.pattern : selection.tensor, is_pattern, &selection.slice, nullptr});
}

// A request that begins with selection `first` and holds as many as have room.
absl::StatusOr<BatchRequest> RequestFrom(size_t first, absl::Span<const Selection> selections,
                                         const v1::GetTensorsRequest& common) {
  BatchRequest request(common);
  for (size_t i = first; i < selections.size(); ++i) {
    const absl::StatusOr<bool> added = AddTo(request, selections[i]);
    if (!added.ok()) return Annotate(added.status(), absl::StrCat("selection ", i));
    if (!*added) break;
  }
  return request;
}

// Collects the headers of one stream; `first` is the selection that the stream calls 0.
absl::Status AddPlanned(const ResultHeader& header, absl::Span<const Selection> selections,
                        size_t first, std::vector<PlannedRead>& plan) {
  const ChunkHeader& described = *header.header;
  const size_t selection = first + described.selection;
  const bool descends = !plan.empty() && selection < plan.back().selection;
  if (described.selection >= selections.size() - first || descends) {
    return absl::DataLossError(absl::StrCat("the server contradicts itself: result ", header.result,
                                            " is of selection ", described.selection));
  }
  const std::string& wanted = selections[selection].tensor;
  if (!wanted.empty()) {
    TENSORD_RETURN_IF_ERROR(CheckIdentity(header, wanted, described.selection));
  }
  if (!header.dtype) {
    return absl::UnimplementedError(
        absl::StrCat("this build does not know the dtype ", Quote(described.dtype)));
  }
  plan.push_back(
      {described.tensor, *header.dtype, described.shape, described.size_bytes, selection});
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<PlannedRead>> Plan(const Connection& connection, const Call& call,
                                              const std::string& model,
                                              absl::Span<const Selection> selections) {
  std::vector<PlannedRead> plan;
  std::string version = call.version;
  for (size_t first = 0; first < selections.size();) {
    v1::GetTensorsRequest common;
    SetCommonFields(connection, model, version, common);
    common.set_plan_only(true);
    common.set_order(v1::RESULT_ORDER_REQUEST);
    TENSORD_ASSIGN_OR_RETURN(const BatchRequest request, RequestFrom(first, selections, common));
    const size_t count = request.num_selections();
    StreamExpectation expectation;
    expectation.version = version;
    expectation.headers_only = true;
    const auto in_stream = selections.first(first + count);
    ChunkAssembler assembler(expectation,
                             [&](const ResultHeader& header) -> absl::StatusOr<ResultPlace> {
                               TENSORD_RETURN_IF_ERROR(AddPlanned(header, in_stream, first, plan));
                               return ResultPlace{};
                             });
    TENSORD_RETURN_IF_ERROR(ReadStream(connection, call, "GetTensors", request.bytes(), assembler));
    version = assembler.info().version;
    first += count;
  }
  return plan;
}

}  // namespace tensord
