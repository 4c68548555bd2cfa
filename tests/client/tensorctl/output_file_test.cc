#include "client/tensorctl/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace tensord::ctl {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class OutputFileTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = fs::path(testing::TempDir()) /
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    path_ = (directory_ / "out.bin").string();
  }
  void TearDown() override { fs::remove_all(directory_); }

  static std::string Read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  fs::path directory_;
  std::string path_;
};

TEST_F(OutputFileTest, AppearsOnlyWhenCommitted) {
  auto file = OutputFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Write("hello").ok());
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Read(path_), "hello");
  EXPECT_FALSE(fs::exists(path_ + ".partial"));
}

TEST_F(OutputFileTest, LeavesTheOldFileWithoutCommit) {
  std::ofstream(path_) << "old";
  {
    auto file = OutputFile::Create(path_);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Write("new").ok());
  }
  EXPECT_EQ(Read(path_), "old");
  EXPECT_FALSE(fs::exists(path_ + ".partial"));
}

TEST_F(OutputFileTest, StartsAfreshOverAKilledCommandsPartialFile) {
  std::ofstream(path_ + ".partial") << "a long left-over";
  auto file = OutputFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Write("new").ok());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Read(path_), "new");
}

TEST_F(OutputFileTest, RefusesASecondWriter) {
  auto first = OutputFile::Create(path_);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(first->Write("first").ok());
  const auto second = OutputFile::Create(path_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAborted);
  ASSERT_TRUE(first->Commit().ok());
  EXPECT_EQ(Read(path_), "first");
}

TEST_F(OutputFileTest, RefusesADirectoryAndAFifo) {
  fs::create_directory(path_);
  EXPECT_EQ(OutputFile::Create(path_).status().code(), absl::StatusCode::kFailedPrecondition);
  const std::string fifo = (directory_ / "fifo").string();
  ASSERT_EQ(mkfifo((fifo + ".partial").c_str(), 0600), 0);
  EXPECT_EQ(OutputFile::Create(fifo).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(OutputFileTest, NamesThePathThatCannotBeCreated) {
  const auto file = OutputFile::Create((directory_ / "none\x1b" / "x").string());
  EXPECT_EQ(file.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(file.status().message(), HasSubstr("none\\x1b/x.partial"));
}

TEST(WriteAll, NamesAFullDevice) {
  FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  const absl::Status status = WriteAll(fileno(full), "x", "standard output");
  std::fclose(full);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("standard output"));
}

}  // namespace
}  // namespace tensord::ctl
