// What kind of file system a file lies on, as far as reading it is concerned.
#pragma once

#include <string>

namespace tensord {

enum class FileSystemKind {
  kLocal,   // A disk of this machine: fstat answers at once, pages may have to be fetched.
  kMemory,  // tmpfs and kin: every page is there.
  kRemote,  // Another machine or process answers, or does not: even fstat may wait.
};

// Of an open file. What fstatfs cannot tell counts as remote, which is the careful way. May wait.
FileSystemKind FileSystemOf(int fd);

// The same for `magic`, statfs's f_type.
FileSystemKind FileSystemOfMagic(long magic);

// Whether other hosts or processes may change what is there without this kernel's knowing. False
// when it cannot be told.
bool IsNetworkFileSystem(const std::string& path);

}  // namespace tensord
