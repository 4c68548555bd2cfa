// Whether a configuration lets strangers read the weights.
#pragma once

#include "absl/status/status.h"
#include "server/server.h"

namespace tensord {

// INVALID_ARGUMENT for an address that other machines can reach, unless connections are encrypted
// and callers show who they are, or `insecure_allow_remote` is set. The message names the address
// and what to do. Resolves host names; opens nothing. Other errors: as Listener::IsRemote.
absl::Status CheckExposure(const ServerOptions& options);

}  // namespace tensord
