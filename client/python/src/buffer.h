// Memory of a result, seen from Python.
#pragma once

#include <nanobind/nanobind.h>

#include <utility>

#include "tensord/tensor_data.h"

namespace tensord::python {

// Writable bytes with Python's buffer protocol; views (numpy arrays, memoryviews) keep it alive.
class Buffer {
 public:
  explicit Buffer(AlignedBuffer memory) : memory_(std::move(memory)) {}

  absl::Span<std::byte> bytes() { return memory_.bytes(); }

 private:
  AlignedBuffer memory_;
};

void BindBuffer(nanobind::module_& module);

}  // namespace tensord::python
