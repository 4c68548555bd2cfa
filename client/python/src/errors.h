// Statuses as Python exceptions.
#pragma once

#include <nanobind/nanobind.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tensord::python {

// Has `factory(code, reason, message)` make the exceptions; codes and reasons as on the wire, e.g.
// "NOT_FOUND" and "TENSOR_NOT_FOUND" ("" for none).
void SetErrorFactory(nanobind::object factory);

// The exception for an error, which must not be OK. Needs the GIL.
nanobind::object MakeException(const absl::Status& status);

// Raises it.
[[noreturn]] void Raise(const absl::Status& status);

inline void Check(const absl::Status& status) {
  if (!status.ok()) Raise(status);
}

template <typename T>
T Unwrap(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

}  // namespace tensord::python
