#include "client/python/src/arguments.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/python/src/buffer.h"

namespace tensord::python {
namespace {

namespace nb = nanobind;

DimRange ToRange(const nb::tuple& range) {
  const auto member = [&](size_t i) { return nb::cast<std::optional<int64_t>>(range[i]); };
  return {member(0), member(1), member(2)};
}

Shard ToShard(const nb::tuple& shard) {
  return {nb::cast<uint32_t>(shard[0]), nb::cast<uint32_t>(shard[1]), nb::cast<uint32_t>(shard[2]),
          nb::cast<uint64_t>(shard[3]), nb::cast<bool>(shard[4])};
}

DimRanges ToRanges(const nb::list& ranges) {
  DimRanges result;
  for (const nb::handle range : ranges) {
    result.ranges.push_back(ToRange(nb::cast<nb::tuple>(range)));
  }
  return result;
}

Dim ToDim(nb::handle dim) {
  if (nb::isinstance<nb::list>(dim)) return ToRanges(nb::borrow<nb::list>(dim));
  if (nb::isinstance<nb::tuple>(dim)) {
    const auto members = nb::borrow<nb::tuple>(dim);
    if (nb::len(members) == 3) return ToRange(members);
    if (nb::len(members) == 5) return ToShard(members);
  }
  return DimIndex{nb::cast<int64_t>(dim)};
}

// TypeError naming the option where its value is of another type or size.
template <typename T>
void ReadOption(const nb::dict& options, const char* name, T& option) {
  try {
    option = nb::cast<T>(options[name]);
  } catch (const nb::cast_error&) {
    throw nb::type_error(absl::StrCat(name, " is of a wrong type, or out of range").c_str());
  }
}

void ReadOption(const nb::dict& options, const char* name, absl::Duration& option) {
  double seconds = 0;
  ReadOption(options, name, seconds);
  option = ToDuration(name, seconds);
}

}  // namespace

absl::Duration ToDuration(const char* name, double seconds) {
  if (std::isnan(seconds)) throw nb::value_error(absl::StrCat(name, " is not a number").c_str());
  return absl::Seconds(seconds);
}

ClientOptions ToClientOptions(const nb::dict& from) {
  ClientOptions options;
  ReadOption(from, "connect_timeout", options.connect_timeout);
  if (!from["timeout"].is_none()) ReadOption(from, "timeout", options.default_timeout);
  ReadOption(from, "chunk_bytes", options.chunk_bytes);
  ReadOption(from, "checksum", options.checksum);
  ReadOption(from, "retry", options.retry);
  ReadOption(from, "first_backoff", options.first_backoff);
  ReadOption(from, "last_backoff", options.last_backoff);
  ReadOption(from, "max_resumes_without_progress", options.max_resumes_without_progress);
  ReadOption(from, "connections", options.connections);
  ReadOption(from, "tls_ca", options.tls_ca);
  ReadOption(from, "tls_cert", options.tls_cert);
  ReadOption(from, "tls_key", options.tls_key);
  ReadOption(from, "token", options.token);
  ReadOption(from, "token_file", options.token_file);
  return options;
}

CallOptions ToOptions(PythonCall& call) {
  CallOptions options;
  if (call.timeout) options.deadline = absl::Now() + *call.timeout;
  options.version = call.version;
  options.cancellation = call.cancellation;
  options.report = &call.report;
  return options;
}

Slice ToSlice(nb::handle index) {
  Slice slice;
  if (index.is_none()) return slice;
  const auto both = nb::cast<nb::tuple>(index);
  for (const nb::handle dim : nb::cast<nb::list>(both[0])) slice.dims.push_back(ToDim(dim));
  slice.ellipsis = nb::cast<std::optional<size_t>>(both[1]);
  return slice;
}

BorrowedMemory::~BorrowedMemory() {
  for (Py_buffer& view : views_) PyBuffer_Release(&view);
}

Destination BorrowedMemory::Borrow(nb::handle memory) {
  if (nb::isinstance<nb::tuple>(memory)) {
    const auto parts = nb::borrow<nb::tuple>(memory);
    auto* const data = reinterpret_cast<std::byte*>(nb::cast<uintptr_t>(parts[0]));
    return {absl::Span<std::byte>(data, nb::cast<size_t>(parts[1])),
            nb::cast<std::vector<uint64_t>>(parts[2])};
  }
  Py_buffer view;
  if (PyObject_GetBuffer(memory.ptr(), &view, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) != 0) {
    throw nb::python_error();
  }
  views_.push_back(view);
  return {view.buf, static_cast<size_t>(view.len)};
}

}  // namespace tensord::python
