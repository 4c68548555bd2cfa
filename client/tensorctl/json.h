// The library's answers as JSON, with the wire's field names.
#pragma once

#include "client/tensorctl/console.h"
#include "tensord/model_info.h"
#include "tensord/tensor_info.h"

namespace tensord::ctl {

// What `models` says of a model; files are left out.
Json ToJson(const ModelInfo& model);

// `metadata` is an object, or null where the file has none.
Json ToJson(const FileInfo& file);
Json ToJson(const SideFile& file);
Json ToJson(const TensorInfo& tensor);

}  // namespace tensord::ctl
