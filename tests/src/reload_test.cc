// Catalog::Reload: what a store's changes do to its models, and what they cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "src/catalog.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

size_t CountDescriptors() {
  const fs::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// No descriptor from `first` on can be had while it lives.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t first) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit lower{first, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &lower);
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

// Of safetensors files.
size_t CountMappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    count += line.find(".safetensors") != std::string::npos ? 1 : 0;
  }
  return count;
}

class ReloadTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(Path("")); }

  std::string Path(const std::string& name) const { return dir_.Path("store/" + name); }

  // A file with one tensor, written long ago: it is certain not to change within its mtime.
  void Write(const std::string& path, const std::string& tensor) {
    WriteSafetensors(Path(path), {{tensor, Dtype::kF32, {2}, ""}});
    Age(path);
  }
  void Age(const std::string& path) {
    fs::last_write_time(Path(path), fs::file_time_type::clock::now() - std::chrono::hours(1) -
                                        std::chrono::milliseconds(++age_));
  }

  void Load(const CatalogOptions& options = {}) {
    auto catalog = Catalog::Load({{"", dir_.Path("store")}}, options, [](const auto&) {});
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    catalog_ = *std::move(catalog);
  }
  void Reload() {
    Catalog::Reloaded reloaded = Catalog::Reload(catalog_, [](const auto&) {});
    ASSERT_EQ(reloaded.status, absl::OkStatus());
    catalog_ = std::move(reloaded.catalog);
  }
  // Headers that a reload reads.
  uint64_t HeadersReadByReload() {
    const uint64_t before = catalog_->num_headers_read();
    Reload();
    return catalog_->num_headers_read() - before;
  }

  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (size_t i = 0; i < catalog_->num_models(); ++i) ids.emplace_back(catalog_->model_id(i));
    return ids;
  }
  std::shared_ptr<const Model> Find(const std::string& name) const {
    return catalog_->Find(name).value_or(nullptr);
  }
  std::string FirstTensor(const std::string& name) const {
    return std::string(Find(name)->tensor(0).name);
  }

  TempDir dir_;
  int age_ = 0;
  std::shared_ptr<const Catalog> catalog_;
};

TEST_F(ReloadTest, UnchangedStoreKeepsItsCatalog) {
  Write("a/model.safetensors", "t");
  WriteBytes(Path("a/config.json"), "{}");
  Load();
  const auto before = catalog_;
  EXPECT_EQ(HeadersReadByReload(), 0u);
  EXPECT_EQ(catalog_, before);
}

TEST_F(ReloadTest, AddedModelIsFoundAndNothingElseIsRead) {
  for (int i = 0; i < 20; ++i) Write(absl::StrCat("m", i, "/model.safetensors"), "t");
  Load();
  const auto before = catalog_;
  const Model* const kept = Find("m3").get();
  Write("new/model.safetensors", "t");
  EXPECT_EQ(HeadersReadByReload(), 1u);
  EXPECT_NE(Find("new"), nullptr);
  EXPECT_EQ(Find("m3").get(), kept);
  EXPECT_EQ(before->num_models(), 20u);
  EXPECT_EQ(catalog_->changes().num_added, 1u);
  EXPECT_EQ(catalog_->changes().num_changed + catalog_->changes().num_removed, 0u);
}

TEST_F(ReloadTest, OneShardOfManyIsReadAgain) {
  std::map<std::string, std::string> weights;
  for (int i = 1; i <= 30; ++i) {
    const std::string file = absl::StrCat("model-", i, "-of-30.safetensors");
    Write("m/" + file, absl::StrCat("t", i));
    weights[absl::StrCat("t", i)] = file;
  }
  WriteBytes(Path("m/model.safetensors.index.json"), IndexJson(weights));
  Load();
  const std::string version = Find("m")->version();
  Write("m/model-7-of-30.safetensors", "t7");
  EXPECT_EQ(HeadersReadByReload(), 1u);
  EXPECT_NE(Find("m")->version(), version);
  EXPECT_EQ(Find("m")->state(), ModelState::kReady);
  EXPECT_EQ(catalog_->changes().num_changed, 1u);
}

TEST_F(ReloadTest, RemovedModelVanishesAndRenamedOneMoves) {
  Write("a/model.safetensors", "t");
  Write("b/model.safetensors", "t");
  Write("c/model.safetensors", "t");
  Load();
  const std::string version = Find("b")->version();
  fs::remove_all(Path("a"));
  fs::rename(Path("b"), Path("d"));
  EXPECT_EQ(HeadersReadByReload(), 1u);
  EXPECT_THAT(Ids(), ElementsAre("c/model", "d/model"));
  EXPECT_EQ(Find("d")->version(), version);
  EXPECT_EQ(catalog_->changes().num_added, 1u);
  EXPECT_EQ(catalog_->changes().num_removed, 2u);
}

TEST_F(ReloadTest, NewSiblingChangesTheShortNameWithoutReading) {
  Write("a/x.safetensors", "t");
  Load();
  EXPECT_EQ(Find("a/x")->short_name(), "a");
  Write("a/y.safetensors", "t");
  EXPECT_EQ(HeadersReadByReload(), 1u);
  EXPECT_EQ(Find("a/x")->short_name(), "a/x");
}

TEST_F(ReloadTest, SideFileIsSeenWithoutReadingTheModelAgain) {
  Write("a/model.safetensors", "t");
  Load();
  const std::string version = Find("a")->version();
  WriteBytes(Path("a/config.json"), "{}");
  EXPECT_EQ(HeadersReadByReload(), 0u);
  ASSERT_EQ(Find("a")->side_files().size(), 1u);
  EXPECT_EQ(Find("a")->version(), version);
}

struct TouchRow {
  std::string name;
  void (*touch)(const std::string& path);
};

class VersionAfter : public ReloadTest, public ::testing::WithParamInterface<TouchRow> {};

TEST_P(VersionAfter, IsTheSame) {
  Write("a/model.safetensors", "t");
  Load();
  const std::string version = Find("a")->version();
  GetParam().touch(Path("a/model.safetensors"));
  Reload();
  ASSERT_NE(Find("a"), nullptr);
  EXPECT_EQ(Find("a")->version(), version);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, VersionAfter,
    ::testing::Values(TouchRow{"Chmod", [](const std::string& path) { chmod(path.c_str(), 0640); }},
                      TouchRow{"Chown",
                               [](const std::string& path) {
                                 ASSERT_EQ(chown(path.c_str(), getuid(), getgid()), 0);
                               }},
                      TouchRow{"HardLink",
                               [](const std::string& path) {
                                 fs::create_hard_link(path, path + ".other");
                               }},
                      TouchRow{"CopyThatKeepsMtime",
                               [](const std::string& path) {
                                 const auto time = fs::last_write_time(path);
                                 fs::copy_file(path, path + ".copy");
                                 fs::last_write_time(path + ".copy", time);
                                 fs::rename(path + ".copy", path);
                               }},
                      TouchRow{"MoveAwayAndBack",
                               [](const std::string& path) {
                                 fs::rename(path, path + ".away");
                                 fs::rename(path + ".away", path);
                               }}),
    [](const auto& row) { return row.param.name; });

// What a remount or a second server see: another device number, other inodes.
TEST_F(ReloadTest, CopyOnAnotherFileSystemHasTheSameVersion) {
  Write("a/model.safetensors", "t");
  Load();
  std::string other = "/dev/shm/tensord-XXXXXX";
  ASSERT_NE(mkdtemp(other.data()), nullptr);
  fs::create_directory(other + "/a");
  const std::string copy = other + "/a/model.safetensors";
  fs::copy_file(Path("a/model.safetensors"), copy);
  fs::last_write_time(copy, fs::last_write_time(Path("a/model.safetensors")));
  const auto second = Catalog::Load({{"", other}}, 1);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*(*second)->Find("a"))->version(), Find("a")->version());
  fs::remove_all(other);
}

TEST_F(ReloadTest, YoungFileIsLookedAtAgain) {
  WriteSafetensors(Path("a/model.safetensors"), {{"t", Dtype::kF32, {2}, ""}});
  Load();
  EXPECT_TRUE(catalog_->NeedsAnotherLook());
  EXPECT_EQ(HeadersReadByReload(), 1u);
  Age("a/model.safetensors");
  EXPECT_EQ(HeadersReadByReload(), 1u);
  EXPECT_FALSE(catalog_->NeedsAnotherLook());
  EXPECT_EQ(HeadersReadByReload(), 0u);
}

TEST_F(ReloadTest, OldFileNeedsNoOtherLook) {
  Write("a/model.safetensors", "t");
  Load();
  EXPECT_FALSE(catalog_->NeedsAnotherLook());
}

TEST_F(ReloadTest, HalfWrittenFileIsAProblemUntilItIsWhole) {
  Write("a/model.safetensors", "t");
  Load();
  const std::string whole = SafetensorsBytes({{"new", Dtype::kF32, {64}, ""}});
  for (const size_t size : {size_t{0}, size_t{4}, whole.size() / 2, whole.size() - 1}) {
    WriteBytes(Path("b/model.safetensors"), whole.substr(0, size));
    Reload();
    ASSERT_NE(Find("b"), nullptr) << size;
    EXPECT_EQ(Find("b")->state(), ModelState::kInvalid) << size;
    EXPECT_EQ(Find("a")->state(), ModelState::kReady) << size;
    EXPECT_TRUE(catalog_->NeedsAnotherLook()) << size;
  }
  WriteBytes(Path("b/model.safetensors"), whole);
  Reload();
  EXPECT_EQ(Find("b")->state(), ModelState::kReady);
}

TEST_F(ReloadTest, TruncatedFileIsAProblem) {
  Write("a/model.safetensors", "t");
  Load();
  const std::string version = Find("a")->version();
  fs::resize_file(Path("a/model.safetensors"), 20);
  Reload();
  EXPECT_EQ(Find("a")->state(), ModelState::kInvalid);
  EXPECT_NE(Find("a")->version(), version);
}

TEST_F(ReloadTest, OverwrittenFileHasItsNewTensors) {
  Write("a/model.safetensors", "old");
  Load();
  Write("a/model.safetensors", "new");
  Reload();
  EXPECT_EQ(FirstTensor("a"), "new");
}

TEST_F(ReloadTest, OldCatalogStaysWholeForWhoHoldsIt) {
  Write("a/model.safetensors", "old");
  Load();
  const auto before = catalog_;
  const auto model = Find("a");
  const auto mapping = *model->Map(0);
  const std::string bytes(reinterpret_cast<const char*>(mapping->bytes().data()),
                          mapping->bytes().size());
  Write("b/next.safetensors", "new tensor");
  fs::rename(Path("b/next.safetensors"), Path("a/model.safetensors"));
  Reload();
  EXPECT_EQ(FirstTensor("a"), "new tensor");
  EXPECT_EQ((*before->Find("a"))->tensor(0).name, "old");
  EXPECT_EQ(bytes, std::string(reinterpret_cast<const char*>(mapping->bytes().data()),
                               mapping->bytes().size()));
}

TEST_F(ReloadTest, VanishedStoreIsAnErrorAndItsReturnIsSeen) {
  Write("a/model.safetensors", "t");
  Load();
  fs::rename(dir_.Path("store"), dir_.Path("gone"));
  const Catalog::Reloaded failed = Catalog::Reload(catalog_, [](const auto&) {});
  EXPECT_EQ(failed.status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(failed.catalog, catalog_);
  Write("b/model.safetensors", "t");  // Another directory of the same path.
  Reload();
  EXPECT_THAT(Ids(), ElementsAre("b/model"));
}

TEST_F(ReloadTest, AVanishedStoreKeepsNobodyFromSeeingWhatChangesInTheOthers) {
  Write("one/a/model.safetensors", "t");
  Write("two/b/model.safetensors", "t");
  catalog_ = *Catalog::Load({{"one", Path("one")}, {"two", Path("two")}}, 1);
  fs::rename(Path("one"), Path("gone"));
  Write("two/c/model.safetensors", "t");
  const Catalog::Reloaded reloaded = Catalog::Reload(catalog_, [](const auto&) {});
  EXPECT_EQ(reloaded.status.code(), absl::StatusCode::kNotFound);
  catalog_ = reloaded.catalog;
  EXPECT_THAT(Ids(), ElementsAre("one/a/model", "two/b/model", "two/c/model"));
  EXPECT_EQ(Find("one/a")->state(), ModelState::kReady);
  fs::rename(Path("gone"), Path("one"));
  Reload();
  EXPECT_THAT(Ids(), ElementsAre("one/a/model", "two/b/model", "two/c/model"));
}

TEST_F(ReloadTest, SwappedStoreSymlinkIsFollowed) {
  Write("1/a/model.safetensors", "t");
  Write("2/b/model.safetensors", "t");
  WriteSymlink(dir_.Path("current"), "store/1");
  catalog_ = *Catalog::Load({{"", dir_.Path("current")}}, 1);
  EXPECT_THAT(Ids(), ElementsAre("a/model"));
  WriteSymlink(dir_.Path("next"), "store/2");
  fs::rename(dir_.Path("next"), dir_.Path("current"));
  Reload();
  EXPECT_THAT(Ids(), ElementsAre("b/model"));
}

// Two sets behind one symlink, swapped while the store is scanned: a catalog is of one of them.
TEST_F(ReloadTest, NoCatalogMixesTwoSetsOfASwappedDirectory) {
  constexpr int kFiles = 8;
  constexpr int kSwaps = 300;
  const auto write_set = [&](int set) {
    for (int i = 0; i < kFiles; ++i) {
      Write(absl::StrCat("..set", set, "/m", i, ".safetensors"), absl::StrCat("set", set));
    }
  };
  write_set(0);
  WriteSymlink(Path("..data"), "..set0");
  for (int i = 0; i < kFiles; ++i) {
    const std::string file = absl::StrCat("m", i, ".safetensors");
    WriteSymlink(Path(file), "..data/" + file);
  }
  Load();
  std::atomic<bool> is_done = false;
  std::thread swapper([&] {
    for (int set = 1; set <= kSwaps; ++set) {
      write_set(set);
      WriteSymlink(Path("..data_tmp"), absl::StrCat("..set", set));
      fs::rename(Path("..data_tmp"), Path("..data"));
      fs::remove_all(Path(absl::StrCat("..set", set - 1)));  // As kubelet does.
    }
    is_done = true;
  });
  size_t num_catalogs = 0;
  while (!is_done) {
    Reload();
    ++num_catalogs;
    std::set<std::string> sets;
    for (int i = 0; i < kFiles; ++i) {
      const auto model = Find(absl::StrCat("m", i));
      if (model != nullptr && model->num_tensors() > 0) sets.emplace(model->tensor(0).name);
    }
    ASSERT_LE(sets.size(), 1u) << ::testing::PrintToString(sets);
  }
  swapper.join();
  EXPECT_GT(num_catalogs, 0u);
  Reload();
  EXPECT_EQ(FirstTensor("m0"), absl::StrCat("set", kSwaps));
  EXPECT_EQ(Find("m7")->state(), ModelState::kReady);
}

class HubReloadTest : public ReloadTest {
 protected:
  const std::string hub_ = "models--org--name/";

  void SetMain(const std::string& commit) { WriteBytes(Path(hub_ + "refs/main"), commit); }
  void AddBlob(const std::string& blob, const std::string& tensor) {
    Write(hub_ + "blobs/" + blob, tensor);
  }
  void Link(const std::string& commit, const std::string& file, const std::string& blob) {
    WriteSymlink(Path(absl::StrCat(hub_, "snapshots/", commit, "/", file)), "../../blobs/" + blob);
  }
};

TEST_F(HubReloadTest, NameStaysOnTheLastCompleteSnapshotUntilTheNewOneIsComplete) {
  AddBlob("one", "old");
  Link("c1", "model.safetensors", "one");
  SetMain("c1");
  Load();
  EXPECT_EQ(Find("org/name")->id(), "org/name@c1/model");
  SetMain("c2");  // The ref comes first.
  Reload();
  EXPECT_EQ(Find("org/name")->id(), "org/name@c1/model");
  AddBlob("two", "new1");
  Link("c2", "model-00001-of-00002.safetensors", "two");
  Reload();
  EXPECT_EQ(Find("org/name")->id(), "org/name@c1/model");
  AddBlob("three", "new2");
  Link("c2", "model-00002-of-00002.safetensors", "three");
  Reload();
  EXPECT_EQ(Find("org/name")->id(), "org/name@c2/model");
  EXPECT_EQ(Find("org/name@c1")->id(), "org/name@c1/model");
}

TEST_F(HubReloadTest, RefAloneSwitchesTheName) {
  AddBlob("one", "old");
  AddBlob("two", "new");
  Link("c1", "model.safetensors", "one");
  Link("c2", "model.safetensors", "two");
  SetMain("c1");
  Load();
  SetMain("c2");
  EXPECT_EQ(HeadersReadByReload(), 0u);
  EXPECT_EQ(Find("org/name")->id(), "org/name@c2/model");
  EXPECT_EQ(FirstTensor("org/name"), "new");
}

TEST_F(HubReloadTest, LostBlobIsReportedAndTheNameFallsBack) {
  AddBlob("one", "old");
  AddBlob("two", "new");
  Link("c1", "model.safetensors", "one");
  Link("c2", "model.safetensors", "two");
  SetMain("c2");
  Load();
  fs::remove(Path(hub_ + "blobs/two"));
  Reload();
  EXPECT_EQ(Find("org/name")->id(), "org/name@c1/model");
  ASSERT_EQ(catalog_->problems().size(), 1u);
  EXPECT_THAT(catalog_->problems()[0].message, HasSubstr("leads to no file"));
}

TEST_F(ReloadTest, CheckpointOf1433ShardsNeedsNoMoreDescriptorsThanAllowed) {
  constexpr size_t kShards = 1433;
  constexpr size_t kBudget = 64;
  for (size_t i = 1; i <= kShards; ++i) {
    Write(absl::StrCat("m/model-", i, "-of-", kShards, ".safetensors"), absl::StrCat("t", i));
  }
  CatalogOptions options;
  options.max_open_files = kBudget;
  const size_t descriptors = CountDescriptors();
  {
    const DescriptorLimit limit(descriptors + kBudget + 32);
    Load(options);
  }
  const auto model = Find("m");
  ASSERT_EQ(model->state(), ModelState::kReady);
  ASSERT_EQ(model->num_tensors(), kShards);
  for (size_t i = 0; i < kShards; ++i) {
    const auto mapping = model->Map(model->tensor(i).file);
    ASSERT_TRUE(mapping.ok()) << mapping.status();
    if (i % 100 == 0) {
      EXPECT_LE(CountDescriptors(), descriptors + kBudget + 4);
      EXPECT_LE(CountMappings(), kBudget + 1);
    }
  }
  EXPECT_EQ(catalog_->num_open_files(), kBudget);
}

TEST_F(ReloadTest, FileThatDescriptorsLackedForIsReadAgain) {
  Write("m/model-1-of-2.safetensors", "s");
  Write("m/model-2-of-2.safetensors", "t");
  Load();
  {
    const DescriptorLimit none(0);
    const auto shard = Find("m/model-1-of-2.safetensors");  // Alone, so not read yet.
    ASSERT_EQ(shard->state(), ModelState::kInvalid);
    EXPECT_EQ(shard->problems().front().reason, ErrorReason::kReadError);
  }
  Reload();
  EXPECT_EQ(Find("m/model-1-of-2.safetensors")->state(), ModelState::kReady);
}

TEST_F(ReloadTest, ManyAdaptersStayWithinBothBudgets) {
  constexpr size_t kModels = 3000;
  constexpr size_t kBudget = 100;
  for (size_t i = 0; i < kModels; ++i) {
    Write(absl::StrCat(i / 100, "/adapter-", i % 100, ".safetensors"), "t");
  }
  CatalogOptions options;
  options.max_open_files = kBudget;
  options.index_memory_bytes = 100 << 10;
  Load(options);
  for (size_t i = 0; i < catalog_->num_models(); ++i) {
    const auto model = catalog_->model(i);
    ASSERT_EQ(model->state(), ModelState::kReady);
    ASSERT_TRUE(model->Map(0).ok());
  }
  uint64_t memory_bytes = 0;
  for (const auto& model : catalog_->LoadedModels()) memory_bytes += model->memory_bytes();
  EXPECT_LE(memory_bytes, options.index_memory_bytes);
  EXPECT_LE(catalog_->num_open_files(), kBudget);
  EXPECT_LE(CountMappings(), kBudget);
}

TEST_F(ReloadTest, ModelBeyondTheBudgetIsKnownOnlyByItsPlace) {
  Write("a.safetensors", "t");
  Write("b.safetensors", "t");
  CatalogOptions options;
  options.index_memory_bytes =
      400;  // The newest model is kept, though it takes more than its headers.
  Load(options);
  const auto all = [](absl::string_view) { return true; };
  std::shared_ptr<const Model> a = catalog_->Find("a").value_or(nullptr);
  const uint64_t num_read = catalog_->num_headers_read();
  EXPECT_EQ(catalog_->FindKnown("a", all)->model, a);
  EXPECT_FALSE(catalog_->KnowsAllModels());
  const Catalog::Known known = *catalog_->FindKnown("b", all);
  EXPECT_EQ(known.model, nullptr);
  EXPECT_EQ(catalog_->num_headers_read(), num_read);
  EXPECT_EQ(known.place, Find("b")->place(0));
  EXPECT_EQ(ReasonOf(catalog_->FindKnown("c", all).status()), ErrorReason::kModelNotFound);
}

TEST_F(ReloadTest, HundredsOfReloadsLeakNothing) {
  for (int i = 0; i < 10; ++i) Write(absl::StrCat("m", i, "/model.safetensors"), "t");
  Load();
  const auto change = [&](int round) {
    const std::string path = absl::StrCat("m", round % 10, "/model.safetensors");
    Write("next", absl::StrCat("t", round));
    fs::rename(Path("next"), Path(path));
    Reload();
    EXPECT_EQ(FirstTensor(absl::StrCat("m", round % 10)), absl::StrCat("t", round));
  };
  for (int round = 0; round < 20; ++round) change(round);
  const size_t descriptors = CountDescriptors();
  const size_t mappings = CountMappings();
  for (int round = 20; round < 320; ++round) change(round);
  EXPECT_EQ(CountDescriptors(), descriptors);
  EXPECT_EQ(CountMappings(), mappings);
  EXPECT_EQ(mappings, 10u);
}

}  // namespace
}  // namespace tensord
