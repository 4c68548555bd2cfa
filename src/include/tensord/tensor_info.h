// What is known of one tensor without reading its data.
#pragma once

#include <cstdint>
#include <string>

#include "tensord/dtype.h"
#include "tensord/shape.h"

namespace tensord {

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::kU8;
  Shape shape;
  uint64_t size_bytes = 0;
  std::string file;           // Relative to the model, e.g. "model-00001-of-00002.safetensors".
  uint64_t offset_bytes = 0;  // Of the first data byte, from the beginning of the file.
};

}  // namespace tensord
