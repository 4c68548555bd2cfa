// Confines what this process can open.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace tensord {

// Paths below which a process may go on after LandlockSelf. Those that do not exist are left out.
struct LandlockRules {
  std::vector<std::string> readable;      // Directories to list and files to read.
  std::vector<std::string> socket_homes;  // Directories in which Unix sockets are made and removed.
};

// From now on this thread, and those that it begins, can open nothing else, and nothing at all for
// writing; descriptors that are open stay open. Cannot be undone. Returns the version of the
// kernel's Landlock. Errors: UNIMPLEMENTED where the kernel has none, or has it disabled; INTERNAL.
absl::StatusOr<int> LandlockSelf(const LandlockRules& rules);

}  // namespace tensord
