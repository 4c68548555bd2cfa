#include <algorithm>
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
  const bool is_pattern = !selection.pattern.empty();  // A tensor's name may be empty.
  if (is_pattern && !selection.tensor.empty()) {
    return MakeError(ErrorReason::kBadRequest,
                     "a selection has both a tensor's name and a pattern");
  }
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

// One call of Plan: knows which selections are still to be planned.
class Planner {
 public:
  Planner(const Connection& connection, const Call& call, const std::string& model,
          absl::Span<const Selection> selections)
      : connection_(connection),
        call_(call),
        model_(model),
        selections_(selections),
        chunk_(connection.options().chunk_bytes) {
    plan_.version = call.version;
  }

  absl::StatusOr<PinnedPlan> Plan() {
    while (first_ < selections_.size()) {
      TENSORD_RETURN_IF_ERROR(connection_.Retry(
          call_, [&] { return PlanOnce(); }, [&] { return num_planned_; }));
    }
    return std::move(plan_);
  }

 private:
  // Selections from first_ on, as many as fit one message.
  AttemptEnd PlanOnce() {
    v1::GetTensorsRequest common;
    SetCommonFields(connection_, model_, plan_.version, chunk_, common);
    common.set_plan_only(true);
    common.set_order(v1::RESULT_ORDER_REQUEST);
    const auto request = RequestFrom(first_, selections_, common);
    if (!request.ok()) return {request.status(), /*is_final=*/true};
    const size_t count = request->num_selections();
    StreamExpectation expectation;
    expectation.version = plan_.version;
    expectation.headers_only = true;
    const auto in_stream = selections_.first(first_ + count);
    ChunkAssembler assembler(
        expectation, [&](const ResultHeader& header) -> absl::StatusOr<ResultPlace> {
          TENSORD_RETURN_IF_ERROR(AddPlanned(header, in_stream, first_, plan_.reads));
          return ResultPlace{};
        });
    AttemptEnd end = ReadStream(connection_, call_, "GetTensors", request->bytes(), assembler);
    if (!assembler.info().version.empty()) {
      plan_.model = assembler.info().model;
      plan_.version = assembler.info().version;
    }
    num_planned_ = std::max<uint64_t>(num_planned_, plan_.reads.size());
    chunk_.Learn(end.status, assembler.num_complete());
    if (end.status.ok()) {
      first_ += count;
    } else {
      DropOpenSelection();
    }
    return end;
  }

  // Where a stream breaks, nothing tells whether more of the last selection was to come.
  void DropOpenSelection() {
    auto& reads = plan_.reads;
    if (reads.empty() || reads.back().selection < first_) return;
    first_ = reads.back().selection;
    while (!reads.empty() && reads.back().selection == first_) reads.pop_back();
  }

  const Connection& connection_;
  const Call& call_;
  const std::string& model_;
  const absl::Span<const Selection> selections_;
  ChunkSize chunk_;
  size_t first_ = 0;  // What stands before is planned.
  uint64_t num_planned_ = 0;
  PinnedPlan plan_;
};

}  // namespace

absl::StatusOr<PinnedPlan> PlanPinned(const Connection& connection, const Call& call,
                                      const std::string& model,
                                      absl::Span<const Selection> selections) {
  return Planner(connection, call, model, selections).Plan();
}

absl::StatusOr<std::vector<PlannedRead>> Plan(const Connection& connection, const Call& call,
                                              const std::string& model,
                                              absl::Span<const Selection> selections) {
  TENSORD_ASSIGN_OR_RETURN(PinnedPlan plan, PlanPinned(connection, call, model, selections));
  return std::move(plan.reads);
}

}  // namespace tensord
