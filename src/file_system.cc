#include "src/file_system.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>

namespace tensord {
namespace {

// Not all of these stand in Debian's linux/magic.h.
constexpr std::array<unsigned long, 16> kRemote = {
    NFS_SUPER_MAGIC,
    0x65735546,  // FUSE: s3fs, gcsfuse, sshfs, hf-mount.
    0xff534d42,  // CIFS.
    0xfe534d42,  // SMB2.
    SMB_SUPER_MAGIC,   V9FS_MAGIC,
    0x0bd00bd0,  // Lustre.
    0x00c36400,  // Ceph.
    AFS_SUPER_MAGIC,   AFS_FS_MAGIC, CODA_SUPER_MAGIC,
    0x01161970,  // GFS2.
    OCFS2_SUPER_MAGIC,
    0x47504653,  // GPFS.
    0x19830326,  // BeeGFS.
    0x786f4256,  // VirtualBox's shared folders.
};

constexpr std::array<unsigned long, 3> kMemory = {TMPFS_MAGIC, RAMFS_MAGIC, HUGETLBFS_MAGIC};

}  // namespace

FileSystemKind FileSystemOfMagic(long magic) {
  // f_type is signed and of 32 bits on some machines, and the magic numbers are not.
  const unsigned long type = static_cast<unsigned long>(magic) & 0xffffffff;
  if (std::find(kRemote.begin(), kRemote.end(), type) != kRemote.end()) {
    return FileSystemKind::kRemote;
  }
  const bool is_memory = std::find(kMemory.begin(), kMemory.end(), type) != kMemory.end();
  return is_memory ? FileSystemKind::kMemory : FileSystemKind::kLocal;
}

FileSystemKind FileSystemOf(int fd) {
  struct statfs status = {};
  if (fstatfs(fd, &status) != 0) return FileSystemKind::kRemote;
  return FileSystemOfMagic(static_cast<long>(status.f_type));
}

bool IsNetworkFileSystem(const std::string& path) {
  struct statfs status = {};
  if (statfs(path.c_str(), &status) != 0) return false;
  return FileSystemOfMagic(static_cast<long>(status.f_type)) == FileSystemKind::kRemote;
}

}  // namespace tensord
