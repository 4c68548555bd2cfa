#include <string>
#include <vector>

#include "client/tensorctl/commands.h"
#include "client/tensorctl/format.h"
#include "client/tensorctl/json.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

Table TensorsTable(const std::vector<TensorInfo>& tensors) {
  Table table({{"NAME"}, {"DTYPE"}, {"SHAPE"}, {"SIZE", Align::kRight}, {"FILE"}});
  for (const TensorInfo& tensor : tensors) {
    table.AddRow({Escape(tensor.name), std::string(DtypeName(tensor.dtype)),
                  ShapeText(tensor.shape), HumanSize(tensor.size_bytes), Escape(tensor.file)});
  }
  return table;
}

}  // namespace

CommandResult RunLs(const LsOptions& options, const Session& session) {
  TensorFilter filter;
  filter.pattern = options.pattern;
  filter.dtypes = options.dtypes;
  filter.order = options.by_offset ? TensorOrder::kOffset : TensorOrder::kName;
  TENSORD_ASSIGN_OR_RETURN(const TensorList list,
                           session.client().ListTensors(options.model, filter, session.call()));
  const Console& console = session.console();
  if (console.json()) {
    std::vector<Json> elements;
    for (const TensorInfo& tensor : list.tensors) elements.push_back(ToJson(tensor));
    TENSORD_RETURN_IF_ERROR(console.PrintJsonArray(elements));
    return ExitCode::kOk;
  }
  if (list.tensors.empty()) {
    console.Warn("No tensor of " + Quote(list.model) + " matches.");
    return ExitCode::kOk;
  }
  TENSORD_RETURN_IF_ERROR(console.PrintTable(TensorsTable(list.tensors)));
  return ExitCode::kOk;
}

}  // namespace tensord::ctl
