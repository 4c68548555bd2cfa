#include "src/mapped_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "src/error.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

std::string Text(const MappedFile& file) {
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

absl::StatusOr<std::shared_ptr<const MappedFile>> MapPath(const std::string& path) {
  return MappedFile::Map(open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

void SetMtime(const std::string& path, time_t seconds) {
  const timespec times[2] = {{seconds, 0}, {seconds, 123456789}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

TEST(MappedFile, ShowsTheBytesAndIdentityOfAFile) {
  const TempDir dir;
  const std::string path = dir.Write("file", "hello");
  SetMtime(path, 1000);
  const auto file = MapPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(Text(**file), "hello");
  struct stat status = {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ((*file)->identity().size_bytes, 5u);
  EXPECT_EQ((*file)->identity().inode, status.st_ino);
  EXPECT_EQ((*file)->identity().device, status.st_dev);
  EXPECT_EQ((*file)->identity().mtime_ns, 1'000'123'456'789);
}

TEST(MappedFile, EmptyFileIsAnEmptySpan) {
  const TempDir dir;
  const auto file = MapPath(dir.Write("file", ""));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->bytes().empty());
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
}

TEST(MappedFile, OutlivesTheFilesName) {
  const TempDir dir;
  const std::string path = dir.Write("file", "old");
  const auto file = MapPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  dir.Write("new", "brand new");
  ASSERT_EQ(rename(dir.Path("new").c_str(), path.c_str()), 0);
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
  EXPECT_EQ(Text(**file), "old");
}

TEST(MappedFile, ChmodIsNoChange) {
  const TempDir dir;
  const std::string path = dir.Write("file", "old");
  const auto file = MapPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  EXPECT_TRUE((*file)->CheckUnchanged().ok());
}

TEST(MappedFile, TruncationIsAChange) {
  const TempDir dir;
  const std::string path = dir.Write("file", "12345");
  const auto file = MapPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(truncate(path.c_str(), 3), 0);
  const absl::Status status = (*file)->CheckUnchanged();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged);
  EXPECT_THAT(std::string(status.message()), HasSubstr("it had 5 bytes, now 3"));
}

TEST(MappedFile, AnotherMtimeIsAChange) {
  const TempDir dir;
  const std::string path = dir.Write("file", "12345");
  const auto file = MapPath(path);
  ASSERT_TRUE(file.ok()) << file.status();
  SetMtime(path, 1000);
  const absl::Status status = (*file)->CheckUnchanged();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged);
  EXPECT_THAT(std::string(status.message()), HasSubstr("modification time"));
}

TEST(MappedFile, RefusesADirectory) {
  const TempDir dir;
  const absl::Status status = MapPath(dir.path()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a regular file, but a directory"));
}

TEST(MappedFile, ABadDescriptorIsAReadError) {
  const absl::Status status = MappedFile::Map(-1).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kReadError);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Bad file descriptor"));
}

TEST(MappedFile, RefusesADevice) {
  const absl::Status status = MapPath("/dev/zero").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a device"));
}

TEST(MappedFile, AWriteOnlyDescriptorIsAReadError) {
  const TempDir dir;
  const std::string path = dir.Write("file", "12345");
  const absl::Status status = MappedFile::Map(open(path.c_str(), O_WRONLY | O_CLOEXEC)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kReadError);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot map the file: Permission denied"));
}

TEST(MappedFile, TakesTheDescriptorAlsoOnError) {
  const int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  EXPECT_FALSE(MappedFile::Map(fd).ok());
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

}  // namespace
}  // namespace tensord
