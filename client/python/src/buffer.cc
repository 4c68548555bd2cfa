#include "client/python/src/buffer.h"

#include "client/python/src/errors.h"

namespace tensord::python {
namespace {

int GetBuffer(PyObject* self, Py_buffer* view, int flags) {
  const absl::Span<std::byte> bytes = nanobind::inst_ptr<Buffer>(nanobind::handle(self))->bytes();
  static char nothing = 0;  // An empty buffer needs an address, too.
  void* const data = bytes.empty() ? static_cast<void*>(&nothing) : bytes.data();
  return PyBuffer_FillInfo(view, self, data, static_cast<Py_ssize_t>(bytes.size()), /*readonly=*/0,
                           flags);
}

PyType_Slot buffer_slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(GetBuffer)}, {0, nullptr}};

void Allocate(Buffer* self, uint64_t size_bytes) {
  new (self) Buffer(Unwrap(AlignedBuffer::Allocate(size_bytes)));
}

}  // namespace

void BindBuffer(nanobind::module_& module) {
  nanobind::class_<Buffer>(module, "Buffer", nanobind::type_slots(buffer_slots))
      .def("__init__", &Allocate, nanobind::arg("size_bytes"))
      .def("__len__", [](Buffer& self) { return self.bytes().size(); });
}

}  // namespace tensord::python
