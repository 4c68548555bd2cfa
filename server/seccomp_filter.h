// Confines what this process can ask of the kernel.
#pragma once

#include "absl/status/status.h"

namespace tensord {

// From now on no thread of this process can run a program, make another process, open a file for
// writing, make, connect or bind a socket, or change the system: such calls fail with EPERM. For a
// server that listens already. Cannot be undone. Errors: UNIMPLEMENTED where the kernel has no
// seccomp; INTERNAL.
absl::Status InstallSeccompFilter();

}  // namespace tensord
