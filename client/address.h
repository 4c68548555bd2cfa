// Where a server is, as people write it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord {

// gRPC's target for "host:port", "[v6]:port", "dns:///host:port", "unix:/path", "unix:///path",
// or several servers as "ipv4:a:port,b:port" and "ipv6:[a]:port,[b]:port".
// INVALID_ARGUMENT names the address and the forms there are.
absl::StatusOr<std::string> ParseAddress(absl::string_view address);

}  // namespace tensord
