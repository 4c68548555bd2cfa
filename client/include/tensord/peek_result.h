// Some values of a tensor, decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "tensord/shape.h"
#include "tensord/slice.h"
#include "tensord/tensor_info.h"

namespace tensord {

// Which values to look at.
struct PeekRequest {
  std::string tensor;
  // Absent: a corner, the first 8 positions of the last two dimensions and the first of all others.
  std::optional<Slice> slice;
  uint32_t max_values = 0;  // At most 4,096. 0: 4,096.
};

struct PeekResult {
  std::string model;    // Canonical id.
  std::string version;  // Of the model.
  TensorInfo tensor;    // The tensor itself.
  Shape shape;          // Of the slice's result, whose values follow in row-major order.
  // Floating-point dtypes as doubles, exactly (C64 as pairs of real and imaginary part); signed
  // integers; unsigned integers and BOOL.
  std::variant<std::vector<double>, std::vector<int64_t>, std::vector<uint64_t>> values;
  uint64_t num_values = 0;  // Of the slice.
  bool truncated = false;   // There are more than were asked for.
};

}  // namespace tensord
