// Where reading a file waits.
#pragma once

#include <cstdint>

#include "src/file_identity.h"

namespace tensord {

// One device, and one file of it.
struct FilePlace {
  uint64_t device = 0;
  uint64_t inode = 0;

  friend bool operator==(const FilePlace&, const FilePlace&) = default;
};

inline FilePlace PlaceOf(const FileIdentity& identity) { return {identity.device, identity.inode}; }

}  // namespace tensord
