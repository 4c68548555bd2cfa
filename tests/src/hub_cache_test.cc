#include "src/hub_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "src/catalog.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kOld(40, 'a');
const std::string kNew(40, 'b');
const std::string kHash(64, 'e');

TEST(HubCache, DirectoryIdsFollowTheHubsNames) {
  EXPECT_EQ(DirectoryId("models--org--name/snapshots/c1/unet"), "org/name@c1/unet");
  EXPECT_EQ(DirectoryId("models--gpt2/snapshots/c1"), "gpt2@c1");
  EXPECT_EQ(DirectoryId("hub/models--a--b/snapshots/c"), "hub/a/b@c");
  EXPECT_EQ(DirectoryId("snapshots/x/snapshots/models--a/snapshots/c"),
            "snapshots/x/snapshots/a@c");
  EXPECT_EQ(DirectoryId("plain/snapshots/x@1"), "plain/snapshots/x%401");
  EXPECT_EQ(DirectoryId("models--"), "models--");
}

TEST(HubCache, BlobNameIsAHashOnlyInASnapshot) {
  const std::string target = "../../blobs/" + kHash;
  EXPECT_EQ(HubBlobSha256("models--a/snapshots/c", target), kHash);
  EXPECT_EQ(HubBlobSha256("models--a/snapshots/c", "../../blobs/" + std::string(40, 'e')), "");
  EXPECT_EQ(HubBlobSha256("models--a/snapshots/c", "../../blobs/" + std::string(64, 'E')), "");
  EXPECT_EQ(HubBlobSha256("plain", target), "");
}

// A cache as huggingface_hub writes it.
class HubCacheTest : public ::testing::Test {
 protected:
  const std::string repository_ = "models--org--name";

  // A file of a snapshot: a link to a blob.
  void Add(const std::string& commit, const std::string& file, const std::string& tensor,
           const std::string& hash = "") {
    const std::string blob =
        hash.empty() ? absl::StrCat("blob-", commit.substr(0, 1), "-", num_blobs_++) : hash;
    WriteSafetensors(dir_.Path(absl::StrCat(repository_, "/blobs/", blob)),
                     {{tensor, Dtype::kU8, {1}, ""}});
    Link(commit, file, blob);
  }
  void Link(const std::string& commit, const std::string& file, const std::string& blob) {
    std::string up = "../../";
    for (const char c : file) up += c == '/' ? "../" : "";
    WriteSymlink(dir_.Path(absl::StrCat(repository_, "/snapshots/", commit, "/", file)),
                 absl::StrCat(up, "blobs/", blob));
  }
  void SetRef(const std::string& ref, const std::string& commit) {
    WriteBytes(dir_.Path(absl::StrCat(repository_, "/refs/", ref)), commit);
  }
  void SetAge(const std::string& commit, int hours) {
    std::filesystem::last_write_time(
        dir_.Path(absl::StrCat(repository_, "/snapshots/", commit)),
        std::filesystem::file_time_type::clock::now() - std::chrono::hours(hours));
  }
  std::string IdOf(const std::string& name) {
    catalog_ = *Catalog::Load({{"", dir_.path()}}, 1);
    const auto model = catalog_->Find(name);
    return model.ok() ? (*model)->id() : std::string(ErrorReasonName(ReasonOf(model.status())));
  }

  TempDir dir_;
  std::shared_ptr<const Catalog> catalog_;
  int num_blobs_ = 0;
};

TEST_F(HubCacheTest, MainRefGivesTheBareNameItsSnapshot) {
  Add(kOld, "model.safetensors", "old");
  Add(kNew, "model.safetensors", "new");
  SetRef("main", kNew + "\n");
  SetRef("refs/pr/3", kOld);
  const std::string old_id = absl::StrCat("org/name@", kOld, "/model");
  const std::string new_id = absl::StrCat("org/name@", kNew, "/model");
  EXPECT_EQ(IdOf("org/name"), new_id);
  EXPECT_EQ(IdOf("org/name/model"), new_id);
  EXPECT_EQ(IdOf("org/name@main"), new_id);
  EXPECT_EQ(IdOf("org/name@refs%2Fpr%2F3/model"), old_id);
  EXPECT_EQ(IdOf(absl::StrCat("org/name@", kOld)), old_id);
  EXPECT_EQ(IdOf("org/name/model.safetensors"), new_id);
  EXPECT_EQ(catalog_->num_models(), 2u);
  EXPECT_EQ((*catalog_->Find(new_id))->short_name(), "org/name");
  EXPECT_TRUE(catalog_->problems().empty());
}

TEST_F(HubCacheTest, NestedFoldersHaveTheirNames) {
  Add(kNew, "unet/diffusion_pytorch_model.safetensors", "u");
  Add(kNew, "vae/diffusion_pytorch_model.safetensors", "v");
  SetRef("main", kNew);
  EXPECT_EQ(IdOf("org/name/unet"),
            absl::StrCat("org/name@", kNew, "/unet/diffusion_pytorch_model"));
}

TEST_F(HubCacheTest, SeveralSnapshotsWithoutRefAreAmbiguous) {
  Add(kOld, "model.safetensors", "t");
  Add(kNew, "model.safetensors", "t");
  EXPECT_EQ(IdOf("org/name"), "AMBIGUOUS_MODEL");
  EXPECT_THAT(catalog_->Find("org/name").status().message(), HasSubstr("org/name@" + kOld));
}

TEST_F(HubCacheTest, TheOnlySnapshotNeedsNoRef) {
  Add(kOld, "model.safetensors", "t");
  EXPECT_EQ(IdOf("org/name"), absl::StrCat("org/name@", kOld, "/model"));
}

TEST_F(HubCacheTest, NameStaysOnTheLastCompleteSnapshotWhileTheNewOneIsMissing) {
  Add(kOld, "model.safetensors", "t");
  SetRef("main", kNew);
  EXPECT_EQ(IdOf("org/name"), absl::StrCat("org/name@", kOld, "/model"));
}

TEST_F(HubCacheTest, NameStaysOnTheLastCompleteSnapshotWhileShardsAreMissing) {
  const std::string third(40, 'c');
  Add(third, "model.safetensors", "t");
  Add(kOld, "model.safetensors", "t");
  Add(kNew, "model-1-of-2.safetensors", "t");
  SetRef("main", kNew);
  SetAge(third, 2);
  SetAge(kOld, 1);
  EXPECT_EQ(IdOf("org/name"), absl::StrCat("org/name@", kOld, "/model"));
  SetAge(third, 0);
  EXPECT_EQ(IdOf("org/name"), absl::StrCat("org/name@", third, "/model"));
  Add(kNew, "model-2-of-2.safetensors", "u");
  EXPECT_EQ(IdOf("org/name"), absl::StrCat("org/name@", kNew, "/model"));
}

TEST_F(HubCacheTest, NameStaysOnTheLastCompleteSnapshotWhileIndexedShardsAreMissing) {
  Add(kOld, "model.safetensors", "t");
  WriteBytes(dir_.Path(absl::StrCat(repository_, "/blobs/index")),
             IndexJson({{"t", "model-1-of-2.safetensors"}, {"u", "model-2-of-2.safetensors"}}));
  Link(kNew, "model.safetensors.index.json", "index");
  Add(kNew, "model-2-of-2.safetensors", "u");
  SetRef("main", kNew);
  EXPECT_EQ(IdOf("org/name"), absl::StrCat("org/name@", kOld, "/model"));
  Add(kNew, "model-1-of-2.safetensors", "t");
  EXPECT_EQ(IdOf("org/name"), absl::StrCat("org/name@", kNew, "/model"));
}

TEST_F(HubCacheTest, DownloadUnderWayKeepsTheOldSnapshotsGroups) {
  for (const char* file : {"unet/a.safetensors", "vae/a.safetensors"}) Add(kOld, file, "t");
  Add(kNew, "vae/a.safetensors", "t");
  SetRef("main", kNew);
  WriteBytes(dir_.Path(absl::StrCat(repository_, "/blobs/x.incomplete")), "half");
  EXPECT_EQ(IdOf("org/name/unet"), absl::StrCat("org/name@", kOld, "/unet/a"));
  EXPECT_EQ(IdOf("org/name/vae"), absl::StrCat("org/name@", kOld, "/vae/a"));
  std::filesystem::remove(dir_.Path(absl::StrCat(repository_, "/blobs/x.incomplete")));
  EXPECT_EQ(IdOf("org/name/vae"), absl::StrCat("org/name@", kNew, "/vae/a"));
}

TEST_F(HubCacheTest, IncompleteSnapshotIsServedWhenThereIsNoOther) {
  Add(kNew, "model-1-of-2.safetensors", "t");
  SetRef("main", kNew);
  ASSERT_EQ(IdOf("org/name"), absl::StrCat("org/name@", kNew, "/model"));
  EXPECT_EQ((*catalog_->Find("org/name"))->state(), ModelState::kIncomplete);
}

TEST_F(HubCacheTest, BlobNameIsTheHashAndTheVersion) {
  Add(kOld, "model.safetensors", "t", kHash);
  IdOf("org/name");
  const auto model = *catalog_->Find("org/name");
  EXPECT_EQ(model->files()[0].sha256, kHash);
  // Another mtime, as on another replica, is the same version.
  const std::string version = model->version();
  std::filesystem::last_write_time(
      dir_.Path(absl::StrCat(repository_, "/blobs/", kHash)),
      std::filesystem::file_time_type::clock::now() - std::chrono::hours(5));
  IdOf("org/name");
  EXPECT_EQ((*catalog_->Find("org/name"))->version(), version);
}

TEST_F(HubCacheTest, TwoHopsToASharedBlobAreFollowed) {
  WriteSafetensors(dir_.Path("blobs/12/shared"), {{"t", Dtype::kU8, {1}, ""}});
  WriteSymlink(dir_.Path(absl::StrCat(repository_, "/blobs/", kHash)), "../../blobs/12/shared");
  Link(kOld, "model.safetensors", kHash);
  ASSERT_EQ(IdOf("org/name"), absl::StrCat("org/name@", kOld, "/model"));
  const auto model = *catalog_->Find("org/name");
  EXPECT_EQ(model->state(), ModelState::kReady);
  EXPECT_EQ(model->files()[0].sha256, kHash);
  EXPECT_TRUE(model->Map(0).ok());
}

TEST_F(HubCacheTest, CacheFilesThatAreNoModelsAreNotScanned) {
  Add(kOld, "model.safetensors", "t");
  for (const char* file : {".no_exist/x/model.safetensors", "blobs/y.safetensors",
                           "refs/z.safetensors", "snapshots/q.incomplete/model.safetensors"}) {
    WriteBytes(dir_.Path(absl::StrCat(repository_, "/", file)), "");
  }
  WriteBytes(dir_.Path(".locks/model.safetensors"), "");
  IdOf("org/name");
  EXPECT_EQ(catalog_->num_models(), 1u);
}

TEST_F(HubCacheTest, StoreNameStandsBeforeAliases) {
  Add(kOld, "model.safetensors", "t");
  SetRef("main", kOld);
  const auto catalog = *Catalog::Load({{"hub", dir_.path()}}, 1);
  EXPECT_EQ((*catalog->Find("hub/org/name"))->id(), absl::StrCat("hub/org/name@", kOld, "/model"));
}

TEST_F(HubCacheTest, PlainFolderOfTheSameNameIsAmbiguous) {
  Add(kOld, "model.safetensors", "t");
  SetRef("main", kOld);
  WriteSafetensors(dir_.Path("org/name/model.fp16.safetensors"), {{"t", Dtype::kU8, {1}, ""}});
  EXPECT_EQ(IdOf("org/name"), "AMBIGUOUS_MODEL");
}

}  // namespace
}  // namespace tensord
