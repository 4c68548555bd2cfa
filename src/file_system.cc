#include "src/file_system.h"

#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace tensord {

bool IsNetworkFileSystem(const std::string& path) {
  // linux/magic.h lacks some of them.
  constexpr std::array<uint32_t, 11> kMagics = {
      0x6969,      // NFS
      0x517B,      // SMB
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB2
      0x65735546,  // FUSE
      0x01021997,  // 9p
      0x0BD00BD0,  // Lustre
      0x00C36400,  // Ceph
      0x5346414F,  // AFS
      0x47504653,  // GPFS
      0x19830326,  // BeeGFS
  };
  struct statfs status = {};
  if (statfs(path.c_str(), &status) != 0) return false;
  const auto magic = static_cast<uint32_t>(status.f_type);
  return std::find(kMagics.begin(), kMagics.end(), magic) != kMagics.end();
}

}  // namespace tensord
