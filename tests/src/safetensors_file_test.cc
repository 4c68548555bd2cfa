#include "src/safetensors_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <string>
#include <thread>

#include "src/error.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

using ::testing::HasSubstr;

std::string LengthOf(uint64_t size) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(size >> (8 * i));
  return bytes;
}

// A file of the JSON's length, the JSON, and `data`.
std::string FileOf(const std::string& json, const std::string& data) {
  return LengthOf(json.size()) + json + data;
}

constexpr char kFourBytes[] = R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";

std::string VariantOf(const absl::Status& status) { return ErrorDetails(status)["variant"]; }

TEST(SafetensorsFile, ReadsHeaderIdentityAndDigest) {
  const TempDir dir;
  const auto file = OpenSafetensorsFile(dir.Write("x", FileOf("{}", "")));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->header->num_tensors(), 0u);
  EXPECT_EQ(file->identity.size_bytes, 10u);
  // printf '\2\0\0\0\0\0\0\0{}' | sha256sum
  EXPECT_EQ(file->header_digest,
            "411a485216e432ece6b9af94fa32154cf79a2a56d4f81266baa50063f45092bd");
}

TEST(SafetensorsFile, DigestIsOfTheHeaderAlone) {
  const TempDir dir;
  const auto one = OpenSafetensorsFile(dir.Write("a", FileOf(kFourBytes, "1234")));
  const auto two = OpenSafetensorsFile(dir.Write("b", FileOf(kFourBytes, "5678")));
  const auto padded =
      OpenSafetensorsFile(dir.Write("c", FileOf(std::string(kFourBytes) + " ", "1234")));
  ASSERT_TRUE(one.ok() && two.ok() && padded.ok());
  EXPECT_EQ(one->header_digest, two->header_digest);
  EXPECT_NE(one->header_digest, padded->header_digest);
  EXPECT_FALSE(one->identity == two->identity);
}

TEST(SafetensorsFile, LeavesTheDescriptorOpenAndWhereItWas) {
  const TempDir dir;
  const int fd = open(dir.Write("x", FileOf(kFourBytes, "1234")).c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(lseek(fd, 3, SEEK_SET), 3);
  EXPECT_TRUE(ReadSafetensorsFile(fd).ok());
  EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 3);
  EXPECT_EQ(close(fd), 0);
}

// Makes the file as large as its file system allows, without blocks.
void Extend(const std::string& path) {
  int64_t size = int64_t{1} << 62;
  while (truncate(path.c_str(), size) != 0) {
    size /= 2;
    ASSERT_GT(size, 1 << 20);
  }
}

struct BadRow {
  const char* name;
  std::string content;
  const char* variant;
  const char* message;
};

class BadFile : public testing::TestWithParam<BadRow> {};

TEST_P(BadFile, NamesVariantAndReason) {
  const TempDir dir;
  const absl::Status status = OpenSafetensorsFile(dir.Write("x", GetParam().content)).status();
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileInvalid);
  EXPECT_EQ(VariantOf(status), GetParam().variant);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Content, BadFile,
    testing::Values(
        BadRow{"Empty", "", "HeaderTooSmall", "0 of the at least 8 bytes"},
        BadRow{"SevenBytes", "\1\1\1\1\1\1\1", "HeaderTooSmall", "7 of the at least 8 bytes"},
        BadRow{"LengthOnly", LengthOf(60), "InvalidHeaderLength", "60 bytes, the file only 0"},
        BadRow{"LengthIsHuge", LengthOf(0xFFFFFF000000003C), "HeaderTooLarge",
               "18446742974197923900 bytes, the limit is 100000000"},
        BadRow{"LengthWraps", LengthOf(~uint64_t{0}), "HeaderTooLarge", "18446744073709551615"},
        BadRow{"LengthBeyondTheLimit", LengthOf(kMaxHeaderBytes + 1) + "{}", "HeaderTooLarge",
               "100000001"},
        BadRow{"LengthBeyondTheFile", LengthOf(1000) + "{}", "InvalidHeaderLength", "1000"},
        BadRow{"LengthZero", LengthOf(0), "InvalidHeaderDeserialization", "empty"},
        BadRow{"HeaderCutInHalf", FileOf(kFourBytes, "").substr(0, 30), "InvalidHeaderLength",
               "the file only 22"},
        BadRow{"DataTooShort", FileOf(kFourBytes, "12"), "MetadataIncompleteBuffer",
               "which has 2 bytes"},
        BadRow{"DataTooLong", FileOf(kFourBytes, "1234extra"), "MetadataIncompleteBuffer",
               "which has 9 bytes"}),
    [](const auto& row) { return row.param.name; });

TEST(SafetensorsFile, HeaderOfTheLimitIsRead) {
  const TempDir dir;
  const std::string path =
      dir.Write("x", LengthOf(kMaxHeaderBytes) + "{}" + std::string(kMaxHeaderBytes - 2, ' '));
  const auto file = OpenSafetensorsFile(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->header->json_size_bytes(), kMaxHeaderBytes);
  EXPECT_LT(file->header->memory_bytes(), 1024u);
}

TEST(SafetensorsFile, SparseHugeFileIsRefusedByItsHeaderAlone) {
  const TempDir dir;
  const std::string path = dir.Write("x", FileOf(kFourBytes, "1234"));
  Extend(path);
  EXPECT_EQ(VariantOf(OpenSafetensorsFile(path).status()), "MetadataIncompleteBuffer");
}

TEST(SafetensorsFile, SparseHugeFileOfZeros) {
  const TempDir dir;
  const std::string path = dir.Write("x", "");
  Extend(path);
  EXPECT_EQ(VariantOf(OpenSafetensorsFile(path).status()), "InvalidHeaderDeserialization");
}

TEST(SafetensorsFile, MissingFile) {
  const TempDir dir;
  const absl::Status status = OpenSafetensorsFile(dir.Path("none")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(OpenSafetensorsFile(dir.Write("file", "") + "/x").status()),
            ErrorReason::kFileNotFound);
}

TEST(SafetensorsFile, UnreadableFileIsAReadError) {
  const TempDir dir;
  const int fd = open(dir.Write("x", FileOf("{}", "")).c_str(), O_WRONLY | O_CLOEXEC);
  const absl::Status status = ReadSafetensorsFile(fd).status();
  close(fd);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kReadError);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("cannot read the header at byte 0: Bad file"));
  const std::string loop = dir.Path("loop");
  ASSERT_EQ(symlink(loop.c_str(), loop.c_str()), 0);
  EXPECT_EQ(ReasonOf(OpenSafetensorsFile(loop).status()), ErrorReason::kReadError);
}

// Sets new modification times as fast as it can, for as long as it lives.
class Toucher {
 public:
  explicit Toucher(const std::string& path) : thread_([this, path] { Run(path); }) {}
  ~Toucher() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Run(const std::string& path) {
    for (time_t second = 1; !stop_; ++second) {
      const timespec times[2] = {{second, 0}, {second, 0}};
      utimensat(AT_FDCWD, path.c_str(), times, 0);
    }
  }

  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST(SafetensorsFile, AChangeUnderTheReadingIsNoVerdict) {
  const TempDir dir;
  // Large enough that the file is touched while it is read; invalid, so that a verdict would show.
  const std::string path = dir.Write("x", FileOf(std::string(10'000'000, ' '), ""));
  absl::Status status;
  {
    const Toucher toucher(path);
    do {
      status = OpenSafetensorsFile(path).status();
    } while (ReasonOf(status) == ErrorReason::kFileInvalid);
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileChanged);
  EXPECT_THAT(std::string(status.message()), HasSubstr("modification time"));
}

void ExpectNotRegular(const std::string& path, const std::string& kind) {
  const absl::Status status = OpenSafetensorsFile(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kFileInvalid);
  EXPECT_EQ(status.message(), "not a regular file, but " + kind);
}

TEST(SafetensorsFile, DirectoryIsRefused) {
  const TempDir dir;
  ExpectNotRegular(dir.path(), "a directory");
}

TEST(SafetensorsFile, DeviceIsRefused) { ExpectNotRegular("/dev/zero", "a device"); }

TEST(SafetensorsFile, FifoIsRefusedWithoutBlocking) {
  const TempDir dir;
  ASSERT_EQ(mkfifo(dir.Path("fifo").c_str(), 0600), 0);
  ExpectNotRegular(dir.Path("fifo"), "a FIFO");
}

TEST(SafetensorsFile, SocketIsRefused) {
  const TempDir dir;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = dir.Path("socket");
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ExpectNotRegular(path, "a socket");
  close(fd);
}

TEST(SafetensorsFile, SymlinkIsFollowed) {
  const TempDir dir;
  const std::string path = dir.Write("x", FileOf("{}", ""));
  ASSERT_EQ(symlink(path.c_str(), dir.Path("link").c_str()), 0);
  EXPECT_TRUE(OpenSafetensorsFile(dir.Path("link")).ok());
}

}  // namespace
}  // namespace tensord
