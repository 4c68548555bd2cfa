#include "client/python/src/python_client.h"

#include <unistd.h>

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tensord::python {
namespace {

namespace nb = nanobind;

void Connect(PythonClient* self, const std::string& address, const nb::dict& options) {
  new (self) PythonClient(Unwrap(SessionSlot::Create(address, ToClientOptions(options))));
}

std::vector<ModelInfo> ListModels(const PythonClient& self, const std::string& filter,
                                  PythonCall& call) {
  return Unwrap(self.Run(call.cancellation, [&](const Client& client) {
    return client.ListModels(filter, ToOptions(call));
  }));
}

Dtype ToDtype(const std::string& name) {
  const std::optional<Dtype> dtype = ParseDtype(name);
  if (!dtype) {
    Raise(absl::InvalidArgumentError(absl::StrCat("there is no dtype called \"", name, "\"")));
  }
  return *dtype;
}

TensorList ListTensors(const PythonClient& self, const std::string& model,
                       const std::string& pattern, const std::vector<std::string>& dtypes,
                       bool by_offset, PythonCall& call) {
  TensorFilter filter{pattern, {}, by_offset ? TensorOrder::kOffset : TensorOrder::kName};
  for (const std::string& dtype : dtypes) filter.dtypes.push_back(ToDtype(dtype));
  return Unwrap(self.Run(call.cancellation, [&](const Client& client) {
    return client.ListTensors(model, filter, ToOptions(call));
  }));
}

ModelInfo GetMetadata(const PythonClient& self, const std::string& model,
                      std::vector<std::string> keys, uint64_t max_value_bytes, PythonCall& call) {
  const MetadataOptions metadata{std::move(keys), max_value_bytes};
  return Unwrap(self.Run(call.cancellation, [&](const Client& client) {
    return client.GetMetadata(model, metadata, ToOptions(call));
  }));
}

TensorInfo GetTensorInfo(const PythonClient& self, const std::string& model,
                         const std::string& tensor, PythonCall& call) {
  return Unwrap(self.Run(call.cancellation, [&](const Client& client) {
    return client.GetTensorInfo(model, tensor, ToOptions(call));
  }));
}

// Selections are (tensor, pattern, index), either name empty.
std::vector<PlannedRead> Plan(const PythonClient& self, const std::string& model,
                              const nb::list& wanted, PythonCall& call) {
  std::vector<Selection> selections;
  selections.reserve(nb::len(wanted));
  for (const nb::handle item : wanted) {
    const auto parts = nb::cast<nb::tuple>(item);
    selections.push_back(
        {nb::cast<std::string>(parts[0]), nb::cast<std::string>(parts[1]), ToSlice(parts[2])});
  }
  return Unwrap(self.Run(call.cancellation, [&](const Client& client) {
    return client.Plan(model, selections, ToOptions(call));
  }));
}

}  // namespace

bool IsMainThread() {
  // The process's first one, or the one that forked it.
  return gettid() == getpid();
}

std::unique_ptr<nb::python_error> PendingSignal() {
  const PythonScope scope;
  if (PyErr_CheckSignals() == 0) return nullptr;
  return std::make_unique<nb::python_error>();
}

void BindClient(nb::module_& module) {
  nb::class_<PythonClient> client(module, "Client");
  client.def("__init__", &Connect, nb::arg("address"), nb::arg("options"), CallGuard())
      .def("list_models", &ListModels, CallGuard())
      .def("list_tensors", &ListTensors, CallGuard())
      .def("get_metadata", &GetMetadata, CallGuard())
      .def("get_tensor_info", &GetTensorInfo, CallGuard())
      .def("plan", &Plan, CallGuard())
      .def("close", &PythonClient::Close, CallGuard());
  BindReading(client);
}

}  // namespace tensord::python
