#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/state_name.h"
#include "client/tensorctl/commands.h"
#include "client/tensorctl/format.h"
#include "client/tensorctl/json.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

// "F32", or the largest dtype with how many others there are: "BF16 +2".
std::string DtypesText(const std::vector<DtypeUsage>& dtypes) {
  if (dtypes.empty()) return "-";
  const DtypeUsage* largest = &dtypes[0];
  for (const DtypeUsage& usage : dtypes) {
    if (usage.size_bytes > largest->size_bytes) largest = &usage;
  }
  const std::string name(DtypeName(largest->dtype));
  return dtypes.size() == 1 ? name : absl::StrCat(name, " +", dtypes.size() - 1);
}

Table ModelsTable(const std::vector<ModelInfo>& models) {
  Table table({{"NAME"},
               {"STATE"},
               {"FILES", Align::kRight},
               {"TENSORS", Align::kRight},
               {"PARAMETERS", Align::kRight},
               {"SIZE", Align::kRight},
               {"DTYPES"},
               {"ID"}});
  for (const ModelInfo& model : models) {
    table.AddRow({Escape(model.short_name), std::string(StateName(model.state)),
                  absl::StrCat(model.num_files), absl::StrCat(model.num_tensors),
                  HumanCount(model.num_parameters), HumanSize(model.size_bytes),
                  DtypesText(model.dtypes), Escape(model.id)});
  }
  return table;
}

}  // namespace

CommandResult RunModels(const ModelsOptions& options, const Session& session) {
  TENSORD_ASSIGN_OR_RETURN(const std::vector<ModelInfo> models,
                           session.client().ListModels(options.filter, session.call()));
  const Console& console = session.console();
  if (console.json()) {
    std::vector<Json> list;
    for (const ModelInfo& model : models) list.push_back(ToJson(model));
    TENSORD_RETURN_IF_ERROR(console.PrintJsonArray(list));
    return ExitCode::kOk;
  }
  if (models.empty()) {
    console.Warn(options.filter.empty() ? "The store has no models."
                                        : "No model matches " + Quote(options.filter) + ".");
    return ExitCode::kOk;
  }
  TENSORD_RETURN_IF_ERROR(console.PrintTable(ModelsTable(models)));
  return ExitCode::kOk;
}

}  // namespace tensord::ctl
