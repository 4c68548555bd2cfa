// tensord._core: the C++ client library for the Python package around it, which alone uses it.
#include <nanobind/nanobind.h>

#include "client/python/src/buffer.h"
#include "client/python/src/errors.h"
#include "client/python/src/exit_gate.h"
#include "client/python/src/python_client.h"
#include "client/python/src/results.h"
#include "client/python/src/sessions.h"

NB_MODULE(_core, module) {
  // Clients that live until the interpreter ends are nothing to report.
  nanobind::set_leak_warnings(false);
  module.def("set_error_factory", &tensord::python::SetErrorFactory);
  module.def("close_exit_gate", &tensord::python::ExitGate::Close);
  module.def("before_fork", &tensord::python::BeforeFork);
  module.def("after_fork_in_parent", &tensord::python::AfterForkInParent);
  module.def("after_fork_in_child", &tensord::python::AfterForkInChild);
  tensord::python::BindBuffer(module);
  tensord::python::BindResults(module);
  tensord::python::BindClient(module);
}
