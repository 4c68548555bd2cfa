#include "src/served_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "src/error.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

std::string Text(const ServedFile& file) {
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

absl::StatusOr<std::shared_ptr<const ServedFile>> OpenPath(const std::string& path,
                                                           ReadMode mode = ReadMode::kMmap) {
  return ServedFile::Open(OwnedFd(open(path.c_str(), O_RDONLY | O_CLOEXEC)), mode);
}

absl::Span<std::byte> Bytes(std::string& text) {
  return {reinterpret_cast<std::byte*>(text.data()), text.size()};
}

void SetMtime(const std::string& path, time_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 123456789}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

TEST(ServedFile, ShowsTheBytesAndIdentityOfAFile) {
  const TempDir dir;
  const std::string path = dir.Write("file", "hello");
  SetMtime(path, 1000);
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Text(**file), "hello");
  struct stat status = {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ((*file)->identity().size_bytes, 5u);
  EXPECT_EQ((*file)->identity().inode, status.st_ino);
  EXPECT_EQ((*file)->identity().device, status.st_dev);
  EXPECT_EQ((*file)->identity().mtime_ns, 1'000'123'456'789);
}

TEST(ServedFile, EmptyFileIsAnEmptySpan) {
  const TempDir dir;
  const auto file = OpenPath(dir.Write("file", ""));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->bytes().empty());
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
}

TEST(ServedFile, OutlivesTheFilesName) {
  const TempDir dir;
  const std::string path = dir.Write("file", "old");
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  dir.Write("new", "brand new");
  ASSERT_EQ(rename(dir.Path("new").c_str(), path.c_str()), 0);
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
  EXPECT_EQ(Text(**file), "old");
}

TEST(ServedFile, ChmodIsNoChange) {
  const TempDir dir;
  const std::string path = dir.Write("file", "old");
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
}

TEST(ServedFile, TruncationIsAChange) {
  const TempDir dir;
  const std::string path = dir.Write("file", "12345");
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(truncate(path.c_str(), 3), 0);
  const absl::Status status = (*file)->CheckUnchanged();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged);
  EXPECT_THAT(std::string(status.message()), HasSubstr("it had 5 bytes, now it ends at byte 3"));
}

TEST(ServedFile, AnotherMtimeIsAChange) {
  const TempDir dir;
  const std::string path = dir.Write("file", "12345");
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  SetMtime(path, 1000);
  const absl::Status status = (*file)->CheckUnchanged();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged);
  EXPECT_THAT(std::string(status.message()), HasSubstr("modification time"));
}

TEST(ServedFile, RefusesADirectory) {
  const TempDir dir;
  const absl::Status status = OpenPath(dir.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a regular file, but a directory"));
}

TEST(ServedFile, ABadDescriptorIsAReadError) {
  const absl::Status status = ServedFile::Open(OwnedFd(), ReadMode::kMmap).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kReadError);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Bad file descriptor"));
}

TEST(ServedFile, RefusesADevice) {
  const absl::Status status = OpenPath("/dev/zero").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a device"));
}

TEST(ServedFile, AWriteOnlyDescriptorIsAReadError) {
  const TempDir dir;
  const std::string path = dir.Write("file", "12345");
  const absl::Status status =
      ServedFile::Open(OwnedFd(open(path.c_str(), O_WRONLY | O_CLOEXEC)), ReadMode::kMmap).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kReadError);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot map the file: Permission denied"));
}

// Three pages, each full of one letter.
std::string Pages() {
  return std::string(4096, 'a') + std::string(4096, 'b') + std::string(4096, 'c');
}

TEST(ServedFile, TouchingATruncatedPageShowsZerosAndIsAChange) {
  const TempDir dir;
  const std::string path = dir.Write("file", Pages());
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(truncate(path.c_str(), 4096), 0);
  const uint64_t faults = NumGuardedFaults();
  EXPECT_EQ(Text(**file), std::string(4096, 'a') + std::string(8192, '\0'));
  EXPECT_EQ(NumGuardedFaults(), faults + 1) << "one fault replaces the whole tail";
  EXPECT_EQ(ReasonOf((*file)->CheckUnchanged()), ErrorReason::kFileChanged);
  EXPECT_TRUE((*file)->is_broken());
}

TEST(ServedFile, ACheckAloneReplacesTheLostTail) {
  const TempDir dir;
  const std::string path = dir.Write("file", Pages());
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(truncate(path.c_str(), 5000), 0);
  EXPECT_FALSE((*file)->CheckUnchanged().ok());
  // The system reads the memory now, as sendmsg would.
  const uint64_t faults = NumGuardedFaults();
  const int sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  EXPECT_EQ(write(pipe_ends[1], (*file)->bytes().data() + 8192, 4096), 4096);
  for (const int fd : {sink, pipe_ends[0], pipe_ends[1]}) close(fd);
  EXPECT_EQ(NumGuardedFaults(), faults);
}

TEST(ServedFile, ALostPageOfAFileThatLooksTheSameIsAReadError) {
  const TempDir dir;
  const std::string path = dir.Write("file", Pages());
  SetMtime(path, 1000);
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  (*file)->Touch((*file)->bytes().subspan(4096, 1));
  dir.Write("file", Pages());
  SetMtime(path, 1000);
  const absl::Status status = (*file)->CheckUnchanged();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kReadError);
  EXPECT_THAT(std::string(status.message()), HasSubstr("could not be read"));
}

TEST(ServedFile, TruncationAtAnyMomentNeverEndsTheProcess) {
  const TempDir dir;
  const std::string whole(64 * 4096, 'x');
  for (int round = 0; round < 50; ++round) {
    const std::string path = dir.Write("file", whole);
    const auto file = OpenPath(path);
    ASSERT_TRUE(file.ok()) << file.status();
    std::thread cutter([&] { ASSERT_EQ(truncate(path.c_str(), round * 4096), 0); });
    const std::string text = Text(**file);
    const bool is_confirmed = (*file)->CheckUnchanged().ok();
    cutter.join();
    EXPECT_TRUE(!is_confirmed || text == whole) << "round " << round;
  }
}

TEST(ServedFile, ReadsWithoutAMapping) {
  const TempDir dir;
  const auto file = OpenPath(dir.Write("file", "hello"), ReadMode::kPread);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_FALSE((*file)->is_mapped());
  std::string text(3, '\0');
  ASSERT_TRUE((*file)->Read(1, Bytes(text)).ok());
  EXPECT_EQ(text, "ell");
  EXPECT_TRUE((*file)->IsInMemory(0, 5));
  text.clear();
  EXPECT_TRUE((*file)->Read(5, Bytes(text)).ok()) << "nothing is always there";
}

TEST(ServedFile, AShortReadIsAChange) {
  const TempDir dir;
  const std::string path = dir.Write("file", "hello");
  const auto file = OpenPath(path, ReadMode::kPread);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(truncate(path.c_str(), 3), 0);
  std::string text(5, '\0');
  EXPECT_FALSE((*file)->TryRead(0, Bytes(text)));
  const absl::Status status = (*file)->Read(0, Bytes(text));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged);
  EXPECT_THAT(std::string(status.message()), HasSubstr("it had 5 bytes, now it ends at byte 3"));
  EXPECT_TRUE((*file)->is_broken());
}

TEST(ServedFile, AFailingReadIsAReadError) {
  const TempDir dir;
  const int fd = open(dir.Write("file", "12345").c_str(), O_WRONLY | O_CLOEXEC);
  const auto file = ServedFile::Open(OwnedFd(fd), ReadMode::kPread);
  ASSERT_TRUE(file.ok()) << file.status();
  std::string text(5, '\0');
  const absl::Status status = (*file)->Read(0, Bytes(text));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kReadError);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot read at byte 0: Bad file"));
}

// Asks the kernel to forget the file until it does: pages that are on their way through its lists
// stay at first.
bool IsForgotten(int fd, const ServedFile& file, uint64_t size_bytes) {
  for (int i = 0; i < 500; ++i) {
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (!file.IsInMemory(0, size_bytes)) return true;
    usleep(10'000);
  }
  return false;
}

TEST(ServedFile, TellsWhatIsInMemory) {
  const TempDir dir;
  const std::string path = dir.Write("file", std::string(3 << 20, 'x'));
  for (const ReadMode mode : {ReadMode::kMmap, ReadMode::kPread}) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const auto file = ServedFile::Open(OwnedFd(fd), mode);
    ASSERT_TRUE(file.ok()) << file.status();
    if (FileSystemOf(fd) == FileSystemKind::kLocal) {
      EXPECT_TRUE(IsForgotten(fd, **file, 3 << 20));
    }
    std::string text(3 << 20, '\0');
    ASSERT_TRUE((*file)->Read(0, Bytes(text)).ok());
    EXPECT_TRUE((*file)->IsInMemory(1, (3 << 20) - 1));
  }
}

TEST(ServedFile, WhatWasFetchedIsInMemoryWhereverItBegins) {
  const TempDir dir;
  constexpr uint64_t kMiB = 1 << 20;
  const std::string path = dir.Write("file", std::string(7 * kMiB + 5, 'x'));
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const auto file = ServedFile::Open(OwnedFd(fd), ReadMode::kMmap);
  ASSERT_TRUE(file.ok()) << file.status();
  for (const uint64_t begin : {uint64_t{0}, kMiB + 1, 4 * kMiB, 5 * kMiB - 3}) {
    ASSERT_EQ(fdatasync(fd), 0);
    ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    const uint64_t size = 7 * kMiB + 5 - begin;
    (*file)->Fetch(begin, size);
    EXPECT_TRUE((*file)->IsInMemory(begin, size)) << begin;
  }
  EXPECT_EQ(Text(**file), std::string(7 * kMiB + 5, 'x'));
}

TEST(ServedFile, FetchingLostPagesHarmsNobody) {
  const TempDir dir;
  const std::string path = dir.Write("file", std::string(8 << 20, 'x'));
  const auto file = OpenPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(truncate(path.c_str(), 3 << 20), 0);
  (*file)->Fetch(0, 8 << 20);
  (*file)->Fetch(5 << 20, 3 << 20);
  EXPECT_FALSE((*file)->CheckUnchanged().ok());
}

}  // namespace
}  // namespace tensord
