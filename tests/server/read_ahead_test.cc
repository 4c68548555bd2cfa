#include "server/read_ahead.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kFar = 1 << 30;

class ReadAheadTest : public testing::Test {
 protected:
  static std::shared_ptr<const ServedFile> AFile() {
    const TempDir dir;
    const std::string path = dir.Write("file", "bytes");
    return *ServedFile::Open(OwnedFd(open(path.c_str(), O_RDONLY | O_CLOEXEC)), ReadMode::kMmap);
  }

  // The message at `offset`, of 1 MiB.
  static FileRange Message(uint64_t offset) { return {offset, kMiB}; }

  const std::shared_ptr<const ServedFile> file_ = AFile();
  ReadAhead ahead_;
};

TEST_F(ReadAheadTest, NothingIsFetchedWhileAllIsInMemory) {
  EXPECT_FALSE(ahead_.IsDue(*file_, Message(0)));
}

TEST_F(ReadAheadTest, WindowsFollowTheStreamWithoutGapsAndGrow) {
  ahead_.Missed(*file_, Message(0));
  uint64_t asked_end = kMiB;
  uint64_t largest = 0;
  for (uint64_t at = 0; at < 64 * kMiB; at += kMiB) {
    while (ahead_.IsDue(*file_, Message(at))) {
      const FileRange next = ahead_.Next(Message(at), kFar);
      EXPECT_EQ(next.offset_bytes, asked_end);
      EXPECT_GE(next.size_bytes, ReadAhead::kFirstWindowBytes);
      asked_end += next.size_bytes;
      largest = std::max(largest, next.size_bytes);
    }
    EXPECT_GE(asked_end, at + 2 * kMiB) << "the next message is on its way";
    EXPECT_LE(asked_end, at + kMiB + ReadAhead::kReachBytes);
  }
  EXPECT_EQ(largest, ReadAhead::kMaxWindowBytes);
}

TEST_F(ReadAheadTest, WhatIsOnItsWayAndNotYetThereIsNotAskedForAgain) {
  ahead_.Missed(*file_, Message(0));
  const FileRange next = ahead_.Next(Message(0), kFar);
  ahead_.Missed(*file_, Message(kMiB));
  EXPECT_EQ(ahead_.Next(Message(kMiB), kFar).offset_bytes, next.offset_bytes + next.size_bytes);
}

TEST_F(ReadAheadTest, NothingIsFetchedBehindWhatIsWanted) {
  ahead_.Missed(*file_, Message(0));
  EXPECT_EQ(ahead_.Next(Message(0), kMiB + 5).size_bytes, 5);
  EXPECT_FALSE(ahead_.IsDue(*file_, Message(0)));
  ahead_.Missed(*file_, Message(8 * kMiB));
  EXPECT_EQ(ahead_.Next(Message(8 * kMiB), 9 * kMiB).size_bytes, 0);
}

TEST_F(ReadAheadTest, AJumpAndAnotherFileBeginAnew) {
  ahead_.Missed(*file_, Message(0));
  ahead_.Next(Message(0), kFar);
  ahead_.Missed(*file_, Message(100 * kMiB));
  EXPECT_EQ(ahead_.Next(Message(100 * kMiB), kFar).offset_bytes, 101 * kMiB);
  ahead_.Missed(*file_, Message(0));
  EXPECT_EQ(ahead_.Next(Message(0), kFar).offset_bytes, kMiB);
  const std::shared_ptr<const ServedFile> other = AFile();
  EXPECT_FALSE(ahead_.Follows(*other));
  ahead_.Missed(*other, Message(0));
  EXPECT_TRUE(ahead_.IsDue(*other, Message(0)));
}

}  // namespace
}  // namespace tensord
