#include "client/python/src/errors.h"

#include <string>

#include "client/python/src/sessions.h"
#include "tensord/error_reason.h"

namespace tensord::python {
namespace {

// Lives as long as the interpreter; leaked, because it must not die after it.
nanobind::object& Factory() {
  static auto* const factory = new nanobind::object();
  return *factory;
}

}  // namespace

void SetErrorFactory(nanobind::object factory) { Factory() = std::move(factory); }

nanobind::object MakeException(const absl::Status& status) {
  const std::string code = absl::StatusCodeToString(status.code());
  const ErrorReason reason = ReasonOf(status);
  std::string name =
      reason == ErrorReason::kUnspecified ? "" : std::string(ErrorReasonName(reason));
  if (const auto own = status.GetPayload(kReasonPayload)) name = std::string(*own);
  // A server's message need not be UTF-8.
  const auto message = nanobind::steal(PyUnicode_DecodeUTF8(
      status.message().data(), static_cast<Py_ssize_t>(status.message().size()), "replace"));
  return Factory()(nanobind::str(code.c_str()), nanobind::str(name.c_str()), message);
}

void Raise(const absl::Status& status) {
  const nanobind::object exception = MakeException(status);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nanobind::python_error();
}

}  // namespace tensord::python
