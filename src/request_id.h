// Names one call of a user in the logs of both sides.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace tensord {

// Metadata of that name carries it from the client, and back with errors.
inline constexpr char kRequestIdKey[] = "x-request-id";

// The detail of an error that holds it.
inline constexpr char kRequestIdDetail[] = "request_id";

// Whether a call may be called so: 1 to 64 characters of [A-Za-z0-9._-].
bool IsRequestId(absl::string_view text);

// 16 random hex digits.
std::string MakeRequestId();

}  // namespace tensord
