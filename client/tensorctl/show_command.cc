#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
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

// Longer metadata values are cut in the text, unless --key asks for them.
constexpr uint64_t kShownValueBytes = 160;

using Fields = std::vector<std::pair<std::string, std::string>>;

// "Key:   value" lines with the values below one another.
std::string FieldsText(const Fields& fields) {
  size_t width = 0;
  for (const auto& [key, value] : fields) width = std::max(width, key.size());
  std::string out;
  for (const auto& [key, value] : fields) {
    absl::StrAppend(&out, key, ":", std::string(width - key.size() + 2, ' '), value, "\n");
  }
  return out;
}

std::string SizeText(uint64_t bytes) {
  return bytes < 1024 ? HumanSize(bytes) : absl::StrCat(HumanSize(bytes), " (", bytes, " bytes)");
}

Fields ModelFields(const ModelInfo& model) {
  Fields fields = {{"Id", Escape(model.id)},
                   {"Name", Escape(model.short_name)},
                   {"Version", Escape(model.version)},
                   {"State", std::string(StateName(model.state))},
                   {"Tensors", absl::StrCat(model.num_tensors)},
                   {"Parameters", absl::StrCat(HumanCount(model.num_parameters), " (",
                                               model.num_parameters, ")")},
                   {"Size", SizeText(model.size_bytes)}};
  for (const Problem& problem : model.problems) {
    fields.emplace_back("Problem",
                        absl::StrCat(Escape(problem.file), problem.file.empty() ? "" : ": ",
                                     CleanMessage(problem.message)));
  }
  return fields;
}

Table DtypesTable(const ModelInfo& model) {
  Table table({{"DTYPE"},
               {"TENSORS", Align::kRight},
               {"PARAMETERS", Align::kRight},
               {"SIZE", Align::kRight}});
  for (const DtypeUsage& usage : model.dtypes) {
    table.AddRow({std::string(DtypeName(usage.dtype)), absl::StrCat(usage.num_tensors),
                  HumanCount(usage.num_parameters), HumanSize(usage.size_bytes)});
  }
  return table;
}

// Digests are known of files in a hub's cache only: elsewhere there is no column of them.
Table FilesTable(const ModelInfo& model) {
  const auto has_digest = [](const auto& file) { return !file.sha256.empty(); };
  const bool shows_digests =
      std::any_of(model.files.begin(), model.files.end(), has_digest) ||
      std::any_of(model.side_files.begin(), model.side_files.end(), has_digest);
  std::vector<Table::Column> columns = {
      {"FILE"}, {"TENSORS", Align::kRight}, {"SIZE", Align::kRight}};
  if (shows_digests) columns.push_back({"SHA256"});
  Table table(std::move(columns));
  const auto add = [&](const auto& file, std::string num_tensors) {
    std::vector<std::string> row = {Escape(file.name), std::move(num_tensors),
                                    HumanSize(file.size_bytes)};
    if (shows_digests) row.push_back(Escape(file.sha256));
    table.AddRow(std::move(row));
  };
  for (const FileInfo& file : model.files) add(file, absl::StrCat(file.num_tensors));
  for (const SideFile& file : model.side_files) add(file, "-");
  return table;
}

std::string ValueText(const MetadataEntry& entry) {
  return entry.value.size() < entry.value_bytes
             ? absl::StrCat(Escape(entry.value), "... (", entry.value_bytes,
                            " bytes; --key shows it)")
             : Escape(entry.value);
}

// Per file, because shards may differ; files without entries that were asked for are left out.
std::string MetadataText(const ModelInfo& model) {
  std::string out;
  for (const FileInfo& file : model.files) {
    if (!file.metadata || file.metadata->empty()) continue;
    Fields fields;
    for (const MetadataEntry& entry : *file.metadata) {
      fields.emplace_back("  " + Escape(entry.key), ValueText(entry));
    }
    absl::StrAppend(&out, "\nMetadata of ", Escape(file.name), "\n", FieldsText(fields));
  }
  return out;
}

absl::Status PrintModel(const ModelInfo& model, const Console& console) {
  if (console.json()) {
    Json object = ToJson(model);
    object["files"] = Json::array();
    for (const FileInfo& file : model.files) object["files"].push_back(ToJson(file));
    object["side_files"] = Json::array();
    for (const SideFile& file : model.side_files) object["side_files"].push_back(ToJson(file));
    return console.PrintJson(object);
  }
  TENSORD_RETURN_IF_ERROR(console.Print(FieldsText(ModelFields(model)) + "\n"));
  TENSORD_RETURN_IF_ERROR(console.PrintTable(DtypesTable(model)));
  TENSORD_RETURN_IF_ERROR(console.Print("\n"));
  TENSORD_RETURN_IF_ERROR(console.PrintTable(FilesTable(model)));
  return console.Print(MetadataText(model));
}

absl::Status PrintTensor(const TensorInfo& tensor, const Console& console) {
  if (console.json()) return console.PrintJson(ToJson(tensor));
  return console.Print(FieldsText({{"Name", Escape(tensor.name)},
                                   {"Dtype", std::string(DtypeName(tensor.dtype))},
                                   {"Shape", ShapeText(tensor.shape)},
                                   {"Size", SizeText(tensor.size_bytes)},
                                   {"File", Escape(tensor.file)},
                                   {"Offset", absl::StrCat(tensor.offset_bytes)}}));
}

}  // namespace

CommandResult RunShow(const ShowOptions& options, const Session& session) {
  const Console& console = session.console();
  if (options.has_tensor) {
    TENSORD_ASSIGN_OR_RETURN(
        const TensorInfo tensor,
        session.client().GetTensorInfo(options.model, options.tensor, session.call()));
    TENSORD_RETURN_IF_ERROR(PrintTensor(tensor, console));
    return ExitCode::kOk;
  }
  MetadataOptions metadata;
  metadata.keys = options.keys;
  const bool whole = console.json() || !options.keys.empty();
  metadata.max_value_bytes = whole ? std::numeric_limits<uint64_t>::max() : kShownValueBytes;
  TENSORD_ASSIGN_OR_RETURN(const ModelInfo model,
                           session.client().GetMetadata(options.model, metadata, session.call()));
  TENSORD_RETURN_IF_ERROR(PrintModel(model, console));
  return ExitCode::kOk;
}

}  // namespace tensord::ctl
