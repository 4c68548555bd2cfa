// Reads a header's JSON: syntax and schema, as strict as the reference implementation.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/raw_header.h"

namespace tensord {

// How deep arrays and objects may nest, the header's own object included: the reference's parser
// gives up at 128.
inline constexpr int kMaxJsonDepth = 127;

// Reads `json`, of at most kMaxHeaderBytes. Errors: InvalidHeader with the byte position where it
// is not UTF-8; InvalidHeaderDeserialization with line, column and tensor otherwise. Iterative;
// takes a copy of json and some 50 bytes a tensor. Repeated names are left for the caller to find.
absl::StatusOr<RawHeader> ReadHeaderJson(absl::string_view json);

}  // namespace tensord
