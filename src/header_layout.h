// Whether tensors tile a file's data section: no hole, no overlap, nothing left over.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "src/raw_header.h"

namespace tensord {

// Checks header's tensors in order of (begin, end) and reports the first defect: InvalidOffset,
// ValidationOverflow, MisalignedSlice, TensorInvalidInfo, or at last MetadataIncompleteBuffer when
// they do not end with the data's `data_bytes`.
absl::Status CheckLayout(const RawHeader& header, uint64_t data_bytes);

}  // namespace tensord
