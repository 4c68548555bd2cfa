// What Python hands in, as the client library wants it.
#pragma once

#include <nanobind/nanobind.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tensord/client_options.h"
#include "tensord/destination.h"
#include "tensord/read_request.h"
#include "tensord/slice.h"

namespace tensord::python {

// What one call obeys, and what it has cost when it has returned.
struct PythonCall {
  std::optional<absl::Duration> timeout;  // From the call's beginning.
  std::string version;
  Cancellation cancellation;
  CallReport report;
};

// ValueError naming the argument where it is NaN.
absl::Duration ToDuration(const char* name, double seconds);

// From a dict that has each of the names below; see ClientOptions.
ClientOptions ToClientOptions(const nanobind::dict& options);

// Borrows `call`.
CallOptions ToOptions(PythonCall& call);

// The dimensions of an index: (dims, ellipsis), with `ellipsis` as Slice::ellipsis or None and each
// dim one of
//   int                                          an index,
//   (start, stop, step), each an int or None     a range,
//   [(start, stop, step), ...]                   a list of ranges,
//   (index, count, multiple, padded_size, allow_uneven)   a shard.
// None: everything. TypeError for anything else.
Slice ToSlice(nanobind::handle index);

// Destinations of one call, and the Python objects whose memory they borrow. Needs the GIL but for
// `destination`'s use.
class BorrowedMemory {
 public:
  BorrowedMemory() = default;
  BorrowedMemory(const BorrowedMemory&) = delete;
  BorrowedMemory& operator=(const BorrowedMemory&) = delete;
  ~BorrowedMemory();

  // `memory` is writable, C-contiguous, and has the buffer protocol; or it is (address, size_bytes,
  // byte_strides) of memory that the caller keeps alive, strides empty where it is dense.
  Destination Borrow(nanobind::handle memory);

 private:
  std::deque<Py_buffer> views_;
};

}  // namespace tensord::python
