#include <string>

#include "absl/strings/str_cat.h"
#include "client/tensorctl/commands.h"
#include "client/tensorctl/format.h"
#include "client/tensorctl/json.h"
#include "client/tensorctl/tensor_target.h"
#include "client/tensorctl/value_grid.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

Json PeekJson(const PeekResult& peek) {
  return {{"model", peek.model},           {"version", peek.version},
          {"tensor", ToJson(peek.tensor)}, {"shape", peek.shape},
          {"values", ValuesJson(peek)},    {"num_values", peek.num_values},
          {"truncated", peek.truncated}};
}

std::string PeekText(const PeekResult& peek) {
  std::string out = absl::StrCat(Escape(peek.tensor.name), "  ", DtypeName(peek.tensor.dtype), "  ",
                                 ShapeText(peek.tensor.shape), "; values of shape ",
                                 ShapeText(peek.shape), ":\n", ValueGrid(peek));
  if (peek.truncated) {
    absl::StrAppend(&out, "... cut: ", peek.num_values,
                    " values in all; name a smaller slice, or use get\n");
  }
  return out;
}

}  // namespace

CommandResult RunPeek(const PeekOptions& options, const Session& session) {
  TENSORD_ASSIGN_OR_RETURN(const CallOptions call, session.Pin(options.model));
  TENSORD_ASSIGN_OR_RETURN(const TensorTarget target, FindTarget(options.model, options.tensor,
                                                                 options.shards, session, call));
  PeekRequest request;
  request.tensor = target.tensor.name;
  if (!target.is_whole_text) request.slice = target.slice;
  TENSORD_ASSIGN_OR_RETURN(const PeekResult peek,
                           session.client().PeekTensor(options.model, request, call));
  const Console& console = session.console();
  TENSORD_RETURN_IF_ERROR(console.json() ? console.PrintJson(PeekJson(peek))
                                         : console.Print(PeekText(peek)));
  return ExitCode::kOk;
}

}  // namespace tensord::ctl
