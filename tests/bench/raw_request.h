// What a raw client asks a raw server for.
#pragma once

#include <cstdint>

namespace tensord::bench {

struct RawRequest {
  uint64_t offset_bytes = 0;  // In the file.
  uint64_t size_bytes = 0;
};

}  // namespace tensord::bench
