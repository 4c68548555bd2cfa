#include "client/tensorctl/tensor_target.h"

#include <optional>
#include <utility>

#include "client/tensorctl/exit_code.h"
#include "src/glob.h"
#include "src/status_macros.h"
#include "tensord/error_reason.h"

namespace tensord::ctl {
namespace {

// The tensor of that name; NOT_FOUND with the closest names.
absl::StatusOr<TensorTarget> FindNamed(const std::string& model, absl::string_view name,
                                       const Session& session, const CallOptions& call) {
  TENSORD_ASSIGN_OR_RETURN(TensorInfo tensor, session.client().GetTensorInfo(model, name, call));
  return TensorTarget{std::move(tensor), Slice(), true};
}

absl::StatusOr<TensorTarget> FindByText(const std::string& model, const std::string& text,
                                        const Session& session, const CallOptions& call) {
  const std::optional<SplitArgument> split = SplitTensorArgument(text);
  if (!split) return FindNamed(model, text, session, call);
  // Asked for as a list of which nothing needs to exist: a question for the whole text would fail
  // nearly always, and stand in the server's log and metrics as an error.
  TensorFilter whole;
  whole.pattern = LiteralPattern(text);
  bool is_name = false;
  if (whole.pattern.size() < kMaxGlobStates) {
    TENSORD_ASSIGN_OR_RETURN(const TensorList list,
                             session.client().ListTensors(model, whole, call));
    is_name = !list.tensors.empty();
  } else {
    const absl::Status known = session.client().GetTensorInfo(model, text, call).status();
    if (!known.ok() && ReasonOf(known) != ErrorReason::kTensorNotFound) return known;
    is_name = known.ok();
  }
  if (is_name) return FindNamed(model, text, session, call);
  TENSORD_ASSIGN_OR_RETURN(TensorTarget target, FindNamed(model, split->tensor, session, call));
  TENSORD_ASSIGN_OR_RETURN(target.slice, Slice::Parse(split->slice));
  target.is_whole_text = false;
  return target;
}

}  // namespace

absl::StatusOr<TensorTarget> FindTarget(const std::string& model, const std::string& text,
                                        absl::Span<const ShardArgument> shards,
                                        const Session& session, const CallOptions& call) {
  TENSORD_ASSIGN_OR_RETURN(TensorTarget target, FindByText(model, text, session, call));
  auto slice = ApplyShards(target.slice, shards, target.tensor.shape.size());
  if (!slice.ok()) return UsageError(slice.status().message());
  target.slice = *std::move(slice);
  if (!shards.empty()) target.is_whole_text = false;
  return target;
}

}  // namespace tensord::ctl
