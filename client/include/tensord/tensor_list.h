// The tensors of a model, and which of them to list.
#pragma once

#include <string>
#include <vector>

#include "tensord/dtype.h"
#include "tensord/tensor_info.h"

namespace tensord {

enum class TensorOrder {
  kName = 1,    // Numbers in names count as numbers: "layers.2" before "layers.10".
  kOffset = 2,  // By file, then by place in the file: the order in which reading is fastest.
};

// Which tensors to list.
struct TensorFilter {
  std::string pattern;        // A glob, as Selection::pattern. Empty: all.
  std::vector<Dtype> dtypes;  // Empty: all.
  TensorOrder order = TensorOrder::kName;
};

struct TensorList {
  std::string model;    // Canonical id.
  std::string version;  // All entries are of this version.
  std::vector<TensorInfo> tensors;
};

}  // namespace tensord
