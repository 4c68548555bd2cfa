#include "client/python/src/python_client.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "absl/strings/str_cat.h"

namespace tensord::python {
namespace {

namespace nb = nanobind;

absl::Duration Seconds(double seconds) { return absl::Seconds(seconds); }

void Connect(PythonClient* self, const std::string& address, double connect_timeout,
             std::optional<double> timeout, uint32_t chunk_bytes, bool checksum, bool retry,
             double first_backoff, double last_backoff, int max_resumes, size_t connections) {
  ClientOptions options;
  options.connect_timeout = Seconds(connect_timeout);
  if (timeout) options.default_timeout = Seconds(*timeout);
  options.chunk_bytes = chunk_bytes;
  options.checksum = checksum;
  options.retry = retry;
  options.first_backoff = Seconds(first_backoff);
  options.last_backoff = Seconds(last_backoff);
  options.max_resumes_without_progress = max_resumes;
  options.connections = connections;
  new (self) PythonClient(Unwrap(SessionSlot::Create(address, options)));
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
  const auto main = nb::module_::import_("threading").attr("main_thread")();
  return nb::cast<unsigned long>(main.attr("ident")) == PyThread_get_thread_ident();
}

std::unique_ptr<nb::python_error> PendingSignal() {
  const nb::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() == 0) return nullptr;
  return std::make_unique<nb::python_error>();
}

void BindClient(nb::module_& module) {
  nb::class_<PythonClient> client(module, "Client");
  client
      .def("__init__", &Connect, nb::arg("address"), nb::kw_only(), nb::arg("connect_timeout"),
           nb::arg("timeout").none(), nb::arg("chunk_bytes"), nb::arg("checksum"), nb::arg("retry"),
           nb::arg("first_backoff"), nb::arg("last_backoff"),
           nb::arg("max_resumes_without_progress"), nb::arg("connections"))
      .def("list_models", &ListModels)
      .def("list_tensors", &ListTensors)
      .def("get_metadata", &GetMetadata)
      .def("get_tensor_info", &GetTensorInfo)
      .def("plan", &Plan)
      .def("close", &PythonClient::Close);
  BindReading(client);
}

}  // namespace tensord::python
