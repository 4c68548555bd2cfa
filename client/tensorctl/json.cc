#include "client/tensorctl/json.h"

#include <string>

#include "client/state_name.h"
#include "tensord/dtype.h"
#include "tensord/error_reason.h"

namespace tensord::ctl {
namespace {

Json DtypesJson(const std::vector<DtypeUsage>& dtypes) {
  Json list = Json::array();
  for (const DtypeUsage& usage : dtypes) {
    list.push_back({{"dtype", std::string(DtypeName(usage.dtype))},
                    {"num_tensors", usage.num_tensors},
                    {"num_parameters", usage.num_parameters},
                    {"size_bytes", usage.size_bytes}});
  }
  return list;
}

Json ProblemsJson(const std::vector<Problem>& problems) {
  Json list = Json::array();
  for (const Problem& problem : problems) {
    list.push_back({{"file", problem.file},
                    {"reason", std::string(ErrorReasonName(problem.reason))},
                    {"variant", problem.variant},
                    {"message", problem.message}});
  }
  return list;
}

}  // namespace

Json ToJson(const ModelInfo& model) {
  return {{"id", model.id},
          {"short_name", model.short_name},
          {"version", model.version},
          {"state", std::string(StateName(model.state))},
          {"num_files", model.num_files},
          {"num_tensors", model.num_tensors},
          {"num_parameters", model.num_parameters},
          {"size_bytes", model.size_bytes},
          {"dtypes", DtypesJson(model.dtypes)},
          {"problems", ProblemsJson(model.problems)}};
}

Json ToJson(const FileInfo& file) {
  Json metadata = nullptr;
  if (file.metadata) {
    metadata = Json::object();
    for (const MetadataEntry& entry : *file.metadata) metadata[entry.key] = entry.value;
  }
  return {{"name", file.name},
          {"size_bytes", file.size_bytes},
          {"header_bytes", file.header_bytes},
          {"num_tensors", file.num_tensors},
          {"sha256", file.sha256},
          {"metadata", std::move(metadata)}};
}

Json ToJson(const SideFile& file) {
  return {{"name", file.name}, {"size_bytes", file.size_bytes}, {"sha256", file.sha256}};
}

Json ToJson(const TensorInfo& tensor) {
  return {{"name", tensor.name},   {"dtype", std::string(DtypeName(tensor.dtype))},
          {"shape", tensor.shape}, {"size_bytes", tensor.size_bytes},
          {"file", tensor.file},   {"offset_bytes", tensor.offset_bytes}};
}

}  // namespace tensord::ctl
