#include "src/store_watch.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/temp_dir.h"

namespace tensord {
namespace {

namespace fs = std::filesystem;

class StoreWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(dir_.Path("a"));
    dir_.Write("a/m.safetensors", "old");
    watch_ = *StoreWatch::Create();
    Scan({"a"});
    EXPECT_FALSE(watch_->TakeEvents());
  }
  void Scan(const std::vector<std::string>& directories) {
    watch_->BeginScan();
    for (const std::string& directory : directories) watch_->Add(dir_.Path(directory));
    watch_->EndScan();
  }

  TempDir dir_;
  std::unique_ptr<StoreWatch> watch_;
};

struct ChangeRow {
  std::string name;
  void (*change)(const TempDir& dir);
  bool is_heard;
};

class StoreWatchChange : public StoreWatchTest, public ::testing::WithParamInterface<ChangeRow> {};

TEST_P(StoreWatchChange, IsHeardIfItMatters) {
  GetParam().change(dir_);
  EXPECT_EQ(watch_->TakeEvents(), GetParam().is_heard);
  EXPECT_FALSE(watch_->TakeEvents());
}

INSTANTIATE_TEST_SUITE_P(
    Rows, StoreWatchChange,
    ::testing::Values(
        ChangeRow{"Create", [](const TempDir& dir) { dir.Write("a/n.safetensors", ""); }, true},
        ChangeRow{"Overwrite", [](const TempDir& dir) { dir.Write("a/m.safetensors", "x"); }, true},
        ChangeRow{"Truncate",
                  [](const TempDir& dir) { fs::resize_file(dir.Path("a/m.safetensors"), 1); },
                  true},
        ChangeRow{"Remove", [](const TempDir& dir) { fs::remove(dir.Path("a/m.safetensors")); },
                  true},
        ChangeRow{"Rename",
                  [](const TempDir& dir) {
                    fs::rename(dir.Path("a/m.safetensors"), dir.Path("a/n.safetensors"));
                  },
                  true},
        ChangeRow{"Chmod",
                  [](const TempDir& dir) { chmod(dir.Path("a/m.safetensors").c_str(), 0600); },
                  true},
        ChangeRow{"NewDirectory", [](const TempDir& dir) { fs::create_directory(dir.Path("a/b")); },
                  true},
        ChangeRow{"Reading",
                  [](const TempDir& dir) {
                    fs::copy_file(dir.Path("a/m.safetensors"), dir.Path("copy"));
                  },
                  false}),
    [](const auto& row) { return row.param.name; });

TEST_F(StoreWatchTest, DownloadUnderWayIsNotHeardAtEachWrite) {
  dir_.Write("a/blob.incomplete", "");
  EXPECT_TRUE(watch_->TakeEvents());
  fs::resize_file(dir_.Path("a/blob.incomplete"), 100);
  EXPECT_FALSE(watch_->TakeEvents());
  fs::rename(dir_.Path("a/blob.incomplete"), dir_.Path("a/blob"));
  EXPECT_TRUE(watch_->TakeEvents());
}

TEST_F(StoreWatchTest, DirectoryThatAScanNoLongerNamesIsNotWatched) {
  Scan({});
  watch_->TakeEvents();
  EXPECT_EQ(watch_->num_watches(), 0u);
  dir_.Write("a/n.safetensors", "");
  EXPECT_FALSE(watch_->TakeEvents());
}

TEST_F(StoreWatchTest, AnotherDirectoryAtTheSamePathIsWatchedFromTheNextScanOn) {
  fs::rename(dir_.Path("a"), dir_.Path("away"));
  fs::create_directories(dir_.Path("a"));
  EXPECT_TRUE(watch_->TakeEvents());
  Scan({"a"});
  watch_->TakeEvents();
  dir_.Write("a/n.safetensors", "");
  EXPECT_TRUE(watch_->TakeEvents());
}

TEST_F(StoreWatchTest, RemovedAndMadeAgainIsWatchedFromTheNextScanOn) {
  fs::remove_all(dir_.Path("a"));
  EXPECT_TRUE(watch_->TakeEvents());
  fs::create_directories(dir_.Path("a"));
  Scan({"a"});
  dir_.Write("a/n.safetensors", "");
  EXPECT_TRUE(watch_->TakeEvents());
}

TEST(StoreWatchLimit, DirectoriesBeyondItAreNotWatchedAndThatIsSaid) {
  TempDir dir;
  const auto watch = *StoreWatch::Create(/*max_watches=*/2);
  watch->BeginScan();
  for (const char* name : {"a", "b", "c"}) {
    fs::create_directories(dir.Path(name));
    watch->Add(dir.Path(name));
  }
  watch->EndScan();
  EXPECT_FALSE(watch->is_complete());
  EXPECT_EQ(watch->num_watches(), 2u);
}

}  // namespace
}  // namespace tensord
