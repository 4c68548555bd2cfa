// On what kind of file system a path lies.
#pragma once

#include <string>

namespace tensord {

// Whether other hosts may change what is there without this kernel's knowing (NFS, SMB, FUSE, 9p,
// Lustre, Ceph, AFS, GPFS, BeeGFS). False when it cannot be told.
bool IsNetworkFileSystem(const std::string& path);

}  // namespace tensord
