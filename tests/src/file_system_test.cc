#include "src/file_system.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>

#include "src/owned_fd.h"

namespace tensord {
namespace {

TEST(FileSystem, NetworkAndUserSpaceFileSystemsAreRemote) {
  for (const long magic : {0x6969L, 0x65735546L, 0xff534d42L, 0xfe534d42L, 0x01021997L, 0x0bd00bd0L,
                           0x00c36400L, 0x5346414fL}) {
    EXPECT_EQ(FileSystemOfMagic(magic), FileSystemKind::kRemote) << std::hex << magic;
  }
}

TEST(FileSystem, AMagicNumberThatLooksNegativeIsTheSame) {
  EXPECT_EQ(FileSystemOfMagic(static_cast<int>(0xff534d42)), FileSystemKind::kRemote);
}

TEST(FileSystem, DisksAreLocal) {
  for (const long magic : {long{EXT4_SUPER_MAGIC}, long{XFS_SUPER_MAGIC}, long{BTRFS_SUPER_MAGIC},
                           long{OVERLAYFS_SUPER_MAGIC}}) {
    EXPECT_EQ(FileSystemOfMagic(magic), FileSystemKind::kLocal) << std::hex << magic;
  }
}

TEST(FileSystem, MemoryIsMemory) {
  const OwnedFd fd(open("/dev/shm", O_RDONLY | O_CLOEXEC));
  ASSERT_GE(fd.get(), 0);
  EXPECT_EQ(FileSystemOf(fd.get()), FileSystemKind::kMemory);
}

TEST(FileSystem, WhatCannotBeToldIsRemote) { EXPECT_EQ(FileSystemOf(-1), FileSystemKind::kRemote); }

}  // namespace
}  // namespace tensord
