#include "client/tensorctl/tensor_target.h"

#include <optional>
#include <utility>

#include "client/tensorctl/exit_code.h"
#include "src/status_macros.h"
#include "tensord/error_reason.h"

namespace tensord::ctl {
namespace {

absl::StatusOr<TensorTarget> FindByText(const std::string& model, const std::string& text,
                                        const Session& session, const CallOptions& call) {
  auto whole = session.client().GetTensorInfo(model, text, call);
  if (whole.ok()) return TensorTarget{*std::move(whole), Slice(), true};
  const std::optional<SplitArgument> split = SplitTensorArgument(text);
  if (!split || ReasonOf(whole.status()) != ErrorReason::kTensorNotFound) return whole.status();
  TensorTarget target;
  TENSORD_ASSIGN_OR_RETURN(target.tensor,
                           session.client().GetTensorInfo(model, split->tensor, call));
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
