#include "client/python/src/results.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "client/python/src/arguments.h"
#include "client/state_name.h"
#include "tensord/model_info.h"
#include "tensord/tensor_list.h"

namespace tensord::python {
namespace {

namespace nb = nanobind;

nb::str Name(Dtype dtype) { return nb::str(DtypeName(dtype).data(), DtypeName(dtype).size()); }

nb::tuple ToTuple(const Shape& shape) {
  nb::list extents;
  for (const uint64_t extent : shape) extents.append(extent);
  return nb::tuple(extents);
}

// What a server sends need not be UTF-8; what is not shows as U+FFFD.
nb::object Text(const std::string& text) {
  return nb::steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

// None where the file has no `__metadata__`.
nb::object MetadataOf(const FileInfo& file) {
  if (!file.metadata) return nb::none();
  nb::dict entries;
  for (const MetadataEntry& entry : *file.metadata) entries[Text(entry.key)] = Text(entry.value);
  return entries;
}

void BindTensors(nb::module_& module) {
  nb::class_<TensorInfo>(module, "TensorInfo")
      .def_ro("name", &TensorInfo::name)
      .def_prop_ro("dtype", [](const TensorInfo& info) { return Name(info.dtype); })
      .def_prop_ro("shape", [](const TensorInfo& info) { return ToTuple(info.shape); })
      .def_ro("size_bytes", &TensorInfo::size_bytes)
      .def_ro("file", &TensorInfo::file)
      .def_ro("offset_bytes", &TensorInfo::offset_bytes);
  nb::class_<TensorList>(module, "TensorList")
      .def_ro("model", &TensorList::model)
      .def_ro("version", &TensorList::version)
      .def_ro("tensors", &TensorList::tensors);
  nb::class_<PlannedRead>(module, "PlannedRead")
      .def_ro("tensor", &PlannedRead::tensor)
      .def_prop_ro("dtype", [](const PlannedRead& read) { return Name(read.dtype); })
      .def_prop_ro("shape", [](const PlannedRead& read) { return ToTuple(read.shape); })
      .def_ro("size_bytes", &PlannedRead::size_bytes)
      .def_ro("selection", &PlannedRead::selection);
}

void BindModels(nb::module_& module) {
  nb::class_<Problem>(module, "Problem")
      .def_ro("file", &Problem::file)
      .def_prop_ro("reason",
                   [](const Problem& p) { return std::string(ErrorReasonName(p.reason)); })
      .def_ro("variant", &Problem::variant)
      .def_ro("message", &Problem::message);
  nb::class_<FileInfo>(module, "FileInfo")
      .def_ro("name", &FileInfo::name)
      .def_ro("size_bytes", &FileInfo::size_bytes)
      .def_ro("header_bytes", &FileInfo::header_bytes)
      .def_ro("num_tensors", &FileInfo::num_tensors)
      .def_ro("sha256", &FileInfo::sha256)
      .def_prop_ro("metadata", &MetadataOf);
  nb::class_<SideFile>(module, "SideFile")
      .def_ro("name", &SideFile::name)
      .def_ro("size_bytes", &SideFile::size_bytes)
      .def_ro("sha256", &SideFile::sha256);
  nb::class_<ModelInfo>(module, "ModelInfo")
      .def_ro("id", &ModelInfo::id)
      .def_ro("short_name", &ModelInfo::short_name)
      .def_ro("version", &ModelInfo::version)
      .def_prop_ro("state",
                   [](const ModelInfo& info) { return std::string(StateName(info.state)); })
      .def_ro("num_files", &ModelInfo::num_files)
      .def_ro("num_tensors", &ModelInfo::num_tensors)
      .def_ro("num_parameters", &ModelInfo::num_parameters)
      .def_ro("size_bytes", &ModelInfo::size_bytes)
      .def_ro("problems", &ModelInfo::problems)
      .def_ro("files", &ModelInfo::files)
      .def_ro("side_files", &ModelInfo::side_files);
}

void BindCall(nb::module_& module) {
  nb::class_<Cancellation>(module, "Cancellation")
      .def(nb::init<>())
      .def("cancel", &Cancellation::Cancel)
      .def("is_cancelled", &Cancellation::IsCancelled);
  nb::class_<PythonCall>(module, "Call")
      .def(
          "__init__",
          [](PythonCall* self, std::optional<double> timeout, std::string version,
             const Cancellation& cancellation) {
            std::optional<absl::Duration> limit;
            if (timeout) limit = ToDuration("timeout", *timeout);
            new (self) PythonCall{limit, std::move(version), cancellation, {}};
          },
          nb::arg("timeout").none(), nb::arg("version"), nb::arg("cancellation"))
      .def_prop_ro("bytes_received", [](const PythonCall& c) { return c.report.bytes_received; })
      .def_prop_ro("num_retries", [](const PythonCall& c) { return c.report.num_retries; });
}

}  // namespace

void BindResults(nb::module_& module) {
  BindTensors(module);
  BindModels(module);
  BindCall(module);
}

}  // namespace tensord::python
