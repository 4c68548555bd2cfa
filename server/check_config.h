// --check-config.
#pragma once

#include "server/flags.h"

namespace tensord {

// Whether a server would start with these flags, as an exit code, and one log line that says so:
// stores can be opened, addresses exist and are not open to strangers, certificates and tokens are
// good. Whether an address is in use is not looked at: that may be the server that runs already.
int CheckConfig(const Flags& flags);

}  // namespace tensord
