// By what a server knows a client whose windows it may lower.
#pragma once

#include <cstdint>

namespace tensord {

// What a stream may carry before its reader allows more (SETTINGS_INITIAL_WINDOW_SIZE) is a bound
// on what the reader has to keep. gRPC 1.51's clients ask for ever more while nothing is slow: 30
// to 60 MiB on loopback. A server may send less than it is allowed to, but a reader that says only
// after half of its window what it has read would then wait for ever. Ours says it whenever it
// waits, so ours asks for it: by the size of the headers that it takes
// (SETTINGS_MAX_HEADER_LIST_SIZE, RFC 9113, 6.5.2), the only setting that a program which uses gRPC
// is free to choose.
inline constexpr uint32_t kWindowSign = 29'796;

// 8 GB/s over a round trip of 1 ms.
inline constexpr uint32_t kMaxWindowBytes = (8 << 20) - 1;

}  // namespace tensord
