#include "src/reloader.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>

#include "src/mutex.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

namespace fs = std::filesystem;

// Far above what a reload takes, so that only one that never comes meets it.
constexpr std::chrono::seconds kGiveUp(60);

class ReloaderTest : public ::testing::Test {
 protected:
  void SetUp() override { Write("first.safetensors"); }

  void Write(const std::string& path) {
    WriteSafetensors(dir_.Path("next"), {{"t", Dtype::kF32, {2}, ""}});
    fs::last_write_time(dir_.Path("next"),
                        fs::file_time_type::clock::now() - std::chrono::hours(1));
    fs::create_directories(fs::path(Path(path)).parent_path());
    fs::rename(dir_.Path("next"), Path(path));
  }
  std::string Path(const std::string& path) const { return dir_.Path("store/" + path); }

  void Start(const ReloaderOptions& options) {
    auto reloader = Reloader::Start({{"", dir_.Path("store")}}, {}, options, &live_,
                                    [this](const ReloadReport& report) { Note(report); });
    ASSERT_TRUE(reloader.ok()) << reloader.status();
    reloader_ = *std::move(reloader);
  }
  void Note(const ReloadReport& report) {
    const MutexLock lock(mutex_);
    ++num_reports_;
    last_ = report;
    changed_.notify_all();
  }
  // Whether a report comes after which `is_true(report)` holds.
  bool Comes(const std::function<bool(const ReloadReport&)>& is_true) {
    const auto end = std::chrono::steady_clock::now() + kGiveUp;
    mutex_.lock();
    bool is_there = num_reports_ > 0 && is_true(last_);
    while (!is_there && changed_.wait_until(mutex_, end) != std::cv_status::timeout) {
      is_there = is_true(last_);
    }
    mutex_.unlock();
    return is_there;
  }
  bool HasModels(size_t count) {
    return Comes([&](const ReloadReport& report) { return report.current->num_models() == count; });
  }

  TempDir dir_;
  LiveCatalog live_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  int num_reports_ = 0;
  ReloadReport last_;
  std::unique_ptr<Reloader> reloader_;
};

// Only what the row names brings the change about.
ReloaderOptions Only(std::chrono::milliseconds rescan_interval, size_t max_watches) {
  return {rescan_interval, max_watches};
}

TEST_F(ReloaderTest, FirstCatalogIsThereBeforeItRuns) {
  Start(Only(std::chrono::milliseconds(0), 0));
  ASSERT_NE(live_.Get(), nullptr);
  EXPECT_EQ(live_.Get()->num_models(), 1u);
  EXPECT_EQ(reloader_->counters().num_scans, 1u);
}

TEST_F(ReloaderTest, MissingStoreIsAnError) {
  const auto reloader = Reloader::Start({{"", dir_.Path("none")}}, {}, {}, &live_,
                                        [](const ReloadReport&) { FAIL(); });
  EXPECT_EQ(reloader.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(live_.Get(), nullptr);
}

TEST_F(ReloaderTest, ChangeIsHeard) {
  Start(Only(std::chrono::milliseconds(0), kMaxWatches));
  Write("second.safetensors");
  EXPECT_TRUE(HasModels(2));
  Write("deep/below/third.safetensors");
  EXPECT_TRUE(HasModels(3));
  fs::remove_all(Path("deep"));
  EXPECT_TRUE(HasModels(2));
}

TEST_F(ReloaderTest, WithoutWatchesTimeFindsIt) {
  Start(Only(std::chrono::milliseconds(20), 0));
  Write("second.safetensors");
  EXPECT_TRUE(HasModels(2));
  EXPECT_TRUE(Comes([](const ReloadReport& report) { return !report.is_watch_complete; }));
}

TEST_F(ReloaderTest, RequestIsAnswered) {
  Start(Only(std::chrono::milliseconds(0), 0));
  Write("second.safetensors");
  reloader_->ReloadNow();
  EXPECT_TRUE(HasModels(2));
  Write("third.safetensors");
  live_.RequestRescan();
  EXPECT_TRUE(HasModels(3));
}

TEST_F(ReloaderTest, RequestsThatComeTooFastAreOneScan) {
  for (int i = 0; i < 100; ++i) Write("m" + std::to_string(i) + ".safetensors");
  Start(Only(std::chrono::milliseconds(0), 0));
  const size_t num_models = live_.Get()->num_models();
  constexpr size_t kRequests = 10'000;
  Write("last.safetensors");
  for (size_t i = 0; i < kRequests; ++i) reloader_->ReloadNow();
  EXPECT_TRUE(HasModels(num_models + 1));
  EXPECT_LT(reloader_->counters().num_scans, kRequests / 10);
}

TEST_F(ReloaderTest, SwappedStoreLinkIsHeard) {
  fs::rename(dir_.Path("store"), dir_.Path("real"));
  WriteSymlink(dir_.Path("store"), "real");
  Start(Only(std::chrono::milliseconds(0), kMaxWatches));
  fs::create_directory(dir_.Path("empty"));
  WriteSymlink(dir_.Path("link"), "empty");
  fs::rename(dir_.Path("link"), dir_.Path("store"));
  EXPECT_TRUE(HasModels(0));
}

TEST_F(ReloaderTest, TargetsDirectoryIsWatched) {
  Write(".hidden/m.safetensors");
  WriteSymlink(Path("m.safetensors"), ".hidden/m.safetensors");
  Start(Only(std::chrono::milliseconds(0), kMaxWatches));
  EXPECT_EQ(live_.Get()->num_models(), 2u);
  fs::remove(Path(".hidden/m.safetensors"));
  EXPECT_TRUE(HasModels(1));
}

TEST_F(ReloaderTest, HubRefIsWatched) {
  for (const char* commit : {"c1", "c2"}) {
    Write(std::string("models--a--b/snapshots/") + commit + "/model.safetensors");
  }
  WriteBytes(Path("models--a--b/refs/main"), "c1");
  Start(Only(std::chrono::milliseconds(0), kMaxWatches));
  EXPECT_EQ((*live_.Get()->Find("a/b"))->id(), "a/b@c1/model");
  WriteBytes(Path("models--a--b/refs/main"), "c2");
  EXPECT_TRUE(Comes([](const ReloadReport& report) {
    return (*report.current->Find("a/b"))->id() == "a/b@c2/model";
  }));
}

TEST_F(ReloaderTest, YoungFileIsLookedAtAgainByItself) {
  Start(Only(std::chrono::milliseconds(0), kMaxWatches));
  WriteSafetensors(Path("young.safetensors"), {{"t", Dtype::kF32, {2}, ""}});
  EXPECT_TRUE(Comes([](const ReloadReport& report) {
    return report.current->num_models() == 2 && report.current->NeedsAnotherLook();
  }));
  EXPECT_TRUE(Comes([](const ReloadReport& report) {
    return report.current->num_models() == 2 && !report.current->NeedsAnotherLook();
  }));
}

TEST_F(ReloaderTest, VanishedStoreKeepsTheCatalogAndIsReported) {
  Start(Only(std::chrono::milliseconds(20), 0));
  fs::rename(dir_.Path("store"), dir_.Path("gone"));
  EXPECT_TRUE(Comes([](const ReloadReport& report) {
    return !report.status.ok() && report.current->num_models() == 1;
  }));
  EXPECT_GT(reloader_->counters().num_failed_scans, 0u);
  fs::rename(dir_.Path("gone"), dir_.Path("store"));
  EXPECT_TRUE(Comes([](const ReloadReport& report) { return report.status.ok(); }));
}

}  // namespace
}  // namespace tensord
