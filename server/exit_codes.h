// What the process ends with; README and --help list them.
#pragma once

namespace tensord {

// 0: clean; help, version or configuration was asked for; a check found nothing wrong.
inline constexpr int kExitFailure = 1;  // While running, or by a second signal.
inline constexpr int kExitUsage = 2;    // Flags, addresses or files that they name are wrong.
inline constexpr int kExitAddressInUse = 3;
inline constexpr int kExitStoreUnreadable = 4;
inline constexpr int kExitNoSandbox = 5;  // --sandbox require, and the kernel lacks it.

}  // namespace tensord
