// The calls that bring data.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <optional>
#include <string>
#include <vector>

#include "client/python/src/buffer.h"
#include "client/python/src/python_client.h"

namespace tensord::python {
namespace {

namespace nb = nanobind;

// (dtype, shape, data, version) of a tensor or a slice of one.
nb::tuple GetSlice(const PythonClient& self, const std::string& model, const std::string& tensor,
                   nb::handle index, PythonCall& call) {
  const Slice slice = ToSlice(index);
  TensorData data = Unwrap(self.Run(call.cancellation, [&](const Client& client) {
    return client.GetSlice(model, tensor, slice, ToOptions(call));
  }));
  nb::list shape;
  for (const uint64_t extent : data.shape) shape.append(extent);
  return nb::make_tuple(nb::str(DtypeName(data.dtype).data(), DtypeName(data.dtype).size()),
                        nb::tuple(shape), Buffer(std::move(data.data)), data.version);
}

// Hands progress to a Python function; what it raises ends the call.
class Progress {
 public:
  Progress(nb::object function, const Cancellation& cancellation)
      : function_(std::move(function)), cancellation_(cancellation) {}

  ProgressCallback Callback() {
    if (function_.is_none()) return nullptr;
    return [this](const ReadProgress& progress) { Report(progress); };
  }

  void RaisePending() {
    if (raised_) throw std::move(*raised_);
  }

 private:
  void Report(const ReadProgress& progress) {
    const PythonScope scope;
    if (raised_) return;
    try {
      function_(progress.bytes, progress.requests, progress.num_requests);
    } catch (nb::python_error& error) {
      raised_.emplace(std::move(error));
      cancellation_.Cancel();
    }
  }

  const nb::object function_;
  const Cancellation cancellation_;
  std::optional<nb::python_error> raised_;
};

std::vector<ReadRequest> ToRequests(const nb::list& wanted, BorrowedMemory& memory) {
  std::vector<ReadRequest> requests;
  requests.reserve(nb::len(wanted));
  for (const nb::handle item : wanted) {
    const auto parts = nb::cast<nb::tuple>(item);
    requests.push_back({nb::cast<std::string>(parts[0]), ToSlice(parts[1]), std::nullopt,
                        memory.Borrow(parts[2])});
  }
  return requests;
}

// Requests are (tensor, index, memory). Returns (model, version, failures), where failures are
// (request, exception).
nb::tuple ReadMany(const PythonClient& self, const std::string& model, const nb::list& wanted,
                   nb::object on_progress, PythonCall& call) {
  BorrowedMemory memory;
  const std::vector<ReadRequest> requests = ToRequests(wanted, memory);
  Progress progress(std::move(on_progress), call.cancellation);
  const ProgressCallback callback = progress.Callback();
  const absl::StatusOr<ReadReport> report = self.Run(call.cancellation, [&](const Client& client) {
    return client.ReadMany(model, requests, callback, ToOptions(call));
  });
  progress.RaisePending();
  Check(report.status());
  nb::list failures;
  for (const ReadFailure& failure : report->failures) {
    failures.append(nb::make_tuple(failure.request, MakeException(failure.status)));
  }
  return nb::make_tuple(report->model, report->version, failures);
}

nb::tuple Describe(const FileStreamInfo& info) {
  return nb::make_tuple(info.size_bytes, info.sha256, info.tag, info.version);
}

// (bytes, description) of a range of a file.
nb::tuple ReadFile(const PythonClient& self, const std::string& model, const std::string& file,
                   uint64_t offset, std::optional<uint64_t> length, PythonCall& call) {
  std::string content;
  const FileSink sink = [&](const FileStreamInfo&, uint64_t at, absl::Span<const std::byte> bytes) {
    if (at == offset) content.clear();  // The first piece, or the read began anew.
    content.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return absl::OkStatus();
  };
  const FileStreamInfo info = Unwrap(self.Run(call.cancellation, [&](const Client& client) {
    return client.ReadFile(model, file, {offset, length}, sink, ToOptions(call));
  }));
  return nb::make_tuple(nb::bytes(content.data(), content.size()), Describe(info));
}

// Writes a whole file to a descriptor that is open for writing, and returns its description.
nb::tuple CopyFile(const PythonClient& self, const std::string& model, const std::string& file,
                   int fd, PythonCall& call) {
  return Describe(Unwrap(self.Run(call.cancellation, [&](const Client& client) {
    return client.ReadFile(model, file, {}, WriteToFile(fd), ToOptions(call));
  })));
}

}  // namespace

void BindReading(nb::class_<PythonClient>& client) {
  client
      .def("get_slice", &GetSlice, nb::arg("model"), nb::arg("tensor"), nb::arg("index").none(),
           nb::arg("call"), CallGuard())
      .def("read_many", &ReadMany, nb::arg("model"), nb::arg("requests"),
           nb::arg("progress").none(), nb::arg("call"), CallGuard())
      .def("read_file", &ReadFile, nb::arg("model"), nb::arg("file"), nb::arg("offset"),
           nb::arg("length").none(), nb::arg("call"), CallGuard())
      .def("copy_file", &CopyFile, CallGuard());
}

}  // namespace tensord::python
