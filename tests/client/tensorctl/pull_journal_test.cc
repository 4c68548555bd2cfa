#include "client/tensorctl/pull_journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/temp_dir.h"

namespace tensord::ctl {
namespace {

using testing::HasSubstr;

class PullJournalTest : public testing::Test {
 protected:
  absl::StatusOr<PullJournal> Open(const std::string& version, bool restart = false) {
    return PullJournal::Open(directory_.path(), "m", version, restart);
  }
  bool Exists(const std::string& name) const {
    return std::filesystem::exists(directory_.Path(name));
  }

  TempDir directory_;
};

TEST_F(PullJournalTest, RemembersUntilItIsFinished) {
  {
    auto journal = Open("v1");
    ASSERT_TRUE(journal.ok()) << journal.status();
    EXPECT_EQ(journal->Find("f"), nullptr);
    ASSERT_TRUE(journal->Set("f", {7, "tag", "digest", true}).ok());
  }
  auto journal = Open("v1");
  ASSERT_TRUE(journal.ok()) << journal.status();
  ASSERT_NE(journal->Find("f"), nullptr);
  EXPECT_EQ(journal->Find("f")->size_bytes, 7);
  EXPECT_EQ(journal->Find("f")->tag, "tag");
  EXPECT_EQ(journal->Find("f")->sha256, "digest");
  EXPECT_TRUE(journal->Find("f")->is_complete);
  ASSERT_TRUE(journal->Finish().ok());
  EXPECT_FALSE(Exists(kJournalName));
}

TEST_F(PullJournalTest, AnotherVersionIsRefusedUntilARestart) {
  directory_.Write("f.partial", "old bytes");
  ASSERT_TRUE(Open("v1")->Set("f", {7, "", "", false}).ok());
  const absl::Status status = Open("v2").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--restart"));
  EXPECT_TRUE(Exists("f.partial"));
  const auto journal = Open("v2", /*restart=*/true);
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ(journal->Find("f"), nullptr);
  EXPECT_FALSE(Exists("f.partial"));
}

TEST_F(PullJournalTest, TwoDoNotShareADirectory) {
  const auto first = Open("v1");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(Open("v1").status().code(), absl::StatusCode::kAborted);
}

TEST_F(PullJournalTest, ABrokenOneIsNotGuessedAt) {
  directory_.Write(kJournalName, "{\"files\":");
  EXPECT_EQ(Open("v1").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Open("v1", /*restart=*/true).ok());
}

TEST_F(PullJournalTest, NamesThatLeadOutAreNotTouched) {
  directory_.Write("x.partial", "");
  std::filesystem::create_directory(directory_.Path("d"));
  directory_.Write(std::string("d/") + kJournalName,
                   R"({"format":1,"model":"m","version":"v1","boot":"","files":{"../x":{}}})");
  EXPECT_TRUE(PullJournal::Open(directory_.Path("d"), "m", "v2", /*restart=*/true).ok());
  EXPECT_TRUE(Exists("x.partial"));
}

}  // namespace
}  // namespace tensord::ctl
