// What calls return, seen from Python: read-only records.
#pragma once

#include <nanobind/nanobind.h>

namespace tensord::python {

void BindResults(nanobind::module_& module);

}  // namespace tensord::python
