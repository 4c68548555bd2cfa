#include "src/store_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "src/catalog.h"
#include "src/error.h"
#include "tests/temp_dir.h"
#include "tests/testing/safetensors_writer.h"

namespace tensord {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class StoreScanTest : public ::testing::Test {
 protected:
  void Write(const std::string& path) {
    WriteSafetensors(dir_.Path("store/" + path), {{"t", Dtype::kU8, {1}, ""}});
  }
  std::string Path(const std::string& path) { return dir_.Path("store/" + path); }

  std::vector<std::string> Ids() {
    std::filesystem::create_directories(dir_.Path("store"));
    catalog_ = *Catalog::Load({{"", dir_.Path("store")}}, 1);
    std::vector<std::string> ids;
    for (size_t i = 0; i < catalog_->num_models(); ++i) ids.emplace_back(catalog_->model_id(i));
    return ids;
  }
  // The only problem's message.
  std::string Problem() {
    EXPECT_THAT(Ids(), IsEmpty());
    EXPECT_THAT(catalog_->problems(), SizeIs(1));
    if (catalog_->problems().empty()) return "";
    // A path of the host must never show.
    EXPECT_THAT(catalog_->problems()[0].message, Not(HasSubstr(dir_.path())));
    return catalog_->problems()[0].message;
  }

  TempDir dir_;
  std::shared_ptr<const Catalog> catalog_;
};

TEST(StoreScan, KindsFollowNames) {
  EXPECT_EQ(KindOf("a.safetensors"), FileKind::kTensors);
  EXPECT_EQ(KindOf(".safetensors"), FileKind::kOther);
  EXPECT_EQ(KindOf("a.safetensors.index.json"), FileKind::kIndex);
  EXPECT_EQ(KindOf("a.safetensors.index.fp16.json"), FileKind::kIndex);
  EXPECT_EQ(KindOf("a.safetensors.indexes.json"), FileKind::kSide);
  EXPECT_EQ(KindOf("config.json"), FileKind::kSide);
  EXPECT_EQ(KindOf("chat.jinja"), FileKind::kSide);
  EXPECT_EQ(KindOf("model.py"), FileKind::kOther);
  EXPECT_EQ(KindOf("a.safetensors.incomplete"), FileKind::kOther);
}

TEST_F(StoreScanTest, HiddenNamesAreNotScanned) {
  Write(".hidden/m.safetensors");
  Write("m/.m.safetensors");
  EXPECT_THAT(Ids(), IsEmpty());
  EXPECT_THAT(catalog_->problems(), IsEmpty());
}

TEST_F(StoreScanTest, SymlinksInsideTheRootAreFollowed) {
  Write("real/m.safetensors");
  WriteSymlink(Path("file/n.safetensors"), "../real/m.safetensors");
  WriteSymlink(Path("directory"), "real");
  WriteSymlink(Path("absolute"), Path("real"));
  EXPECT_THAT(Ids(), ElementsAre("absolute/m", "directory/m", "file/n", "real/m"));
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(catalog_->model(i)->state(), ModelState::kReady);
    EXPECT_TRUE(catalog_->model(i)->Map(0).ok());
  }
}

// What a ConfigMap or git-sync mounts.
TEST_F(StoreScanTest, AtomicallySwappedDirectoryIsSeenOnce) {
  Write("..2026_01/m.safetensors");
  WriteSymlink(Path("..data"), "..2026_01");
  WriteSymlink(Path("m.safetensors"), "..data/m.safetensors");
  EXPECT_THAT(Ids(), ElementsAre("m"));
}

TEST_F(StoreScanTest, StoreMayItselfBeASymlink) {
  Write("m.safetensors");
  WriteSymlink(dir_.Path("link"), "store");
  const auto catalog = *Catalog::Load({{"", dir_.Path("link")}}, 1);
  EXPECT_EQ(catalog->num_models(), 1u);
  EXPECT_EQ(catalog->model(0)->state(), ModelState::kReady);
}

TEST_F(StoreScanTest, LoopsAreCut) {
  Write("m/m.safetensors");
  WriteSymlink(Path("m/loop"), "..");
  WriteSymlink(Path("m/self"), ".");
  WriteSymlink(Path("circle.safetensors"), "circle.safetensors");
  EXPECT_THAT(Ids(), ElementsAre("m/m"));
  ASSERT_THAT(catalog_->problems(), SizeIs(1));
  EXPECT_THAT(catalog_->problems()[0].message, HasSubstr("loop of symlinks"));
}

TEST_F(StoreScanTest, FileOutsideTheRootIsReportedAndNeverOpened) {
  WriteSafetensors(dir_.Path("outside.safetensors"), {{"t", Dtype::kU8, {1}, ""}});
  WriteSymlink(Path("m.safetensors"), "../outside.safetensors");
  EXPECT_EQ(Problem(),
            "\"m.safetensors\" is a symlink to \"../outside.safetensors\" that leads out of the "
            "store");
}

TEST_F(StoreScanTest, AbsoluteTargetIsNotShown) {
  WriteSafetensors(dir_.Path("outside.safetensors"), {{"t", Dtype::kU8, {1}, ""}});
  WriteSymlink(Path("m.safetensors"), dir_.Path("outside.safetensors"));
  EXPECT_EQ(Problem(), "\"m.safetensors\" is a symlink that leads out of the store");
}

TEST_F(StoreScanTest, DirectoryWhoseNameBeginsLikeTheRootIsOutside) {
  WriteSafetensors(dir_.Path("store-2/m.safetensors"), {{"t", Dtype::kU8, {1}, ""}});
  WriteSymlink(Path("m.safetensors"), "../store-2/m.safetensors");
  EXPECT_THAT(Problem(), HasSubstr("out of the store"));
}

TEST_F(StoreScanTest, DirectoryOutsideTheRootIsNotScanned) {
  WriteSafetensors(dir_.Path("outside/m.safetensors"), {{"t", Dtype::kU8, {1}, ""}});
  std::filesystem::create_directories(Path("x"));
  WriteSymlink(Path("x/y"), "../../outside");
  EXPECT_THAT(Problem(), AllOf(HasSubstr("\"x/y\""), HasSubstr("leads out of the store")));
}

TEST_F(StoreScanTest, DanglingSymlinkNamesLinkAndTarget) {
  WriteSymlink(Path("d/m.safetensors"), "../../blobs/gone");
  EXPECT_EQ(Problem(),
            "\"d/m.safetensors\" is a symlink to \"../../blobs/gone\" that leads to no file");
}

TEST_F(StoreScanTest, FifoDoesNotBlock) {
  std::filesystem::create_directories(Path("d"));
  ASSERT_EQ(mkfifo(Path("d/m.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(Problem(), HasSubstr("is a FIFO, wanted a regular file"));
  // The path still names the file, and says what is wrong with it.
  const auto model = *catalog_->Find("d/m.safetensors");
  EXPECT_EQ(model->state(), ModelState::kInvalid);
}

TEST_F(StoreScanTest, DirectoryNamedAsAFileIsReported) {
  std::filesystem::create_directories(Path("m.safetensors"));
  EXPECT_THAT(Problem(), HasSubstr("is a directory"));
}

TEST_F(StoreScanTest, SocketIsReported) {
  std::filesystem::create_directories(Path(""));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, Path("m.safetensors").c_str(), sizeof(address.sun_path) - 1);
  const OwnedFd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(Problem(), HasSubstr("is a socket"));
}

TEST_F(StoreScanTest, FifoAsShardIsItsModelsProblem) {
  Write("m/x-1-of-2.safetensors");
  ASSERT_EQ(mkfifo(Path("m/x-2-of-2.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(Ids(), ElementsAre("m/x"));
  const auto model = catalog_->model(0);
  EXPECT_EQ(model->state(), ModelState::kIncomplete);
  EXPECT_THAT(model->problems()[0].message, HasSubstr("is a FIFO"));
}

TEST_F(StoreScanTest, NameThatIsNotUtf8IsReportedEscaped) {
  Write("d/bad\xff.safetensors");
  Write("bad\xc3/m.safetensors");
  EXPECT_THAT(Ids(), IsEmpty());
  ASSERT_THAT(catalog_->problems(), SizeIs(2));
  EXPECT_EQ(catalog_->problems()[0].file, "bad\\xc3");
  EXPECT_THAT(catalog_->problems()[1].message, HasSubstr("\"d/bad\\xff.safetensors\""));
}

TEST_F(StoreScanTest, DeepTreesEnd) {
  std::string path;
  for (size_t i = 0; i < kMaxScanDepth + 1; ++i) path += "d/";
  Write(path + "m.safetensors");
  EXPECT_THAT(Problem(), HasSubstr("deeper than 32 levels"));
}

TEST_F(StoreScanTest, SwappedSymlinkCannotLeadOutAfterTheScan) {
  Write("real/m.safetensors");
  WriteSafetensors(dir_.Path("outside/m.safetensors"), {{"t", Dtype::kU8, {1}, ""}});
  const auto root = *StoreRoot::Open(dir_.Path("store"));
  ASSERT_TRUE(root->OpenFile("real/m.safetensors").ok());
  std::filesystem::remove_all(Path("real"));
  WriteSymlink(Path("real"), "../outside");
  EXPECT_EQ(ReasonOf(root->OpenFile("real/m.safetensors").status()), ErrorReason::kFileInvalid);
  for (const char* path : {"../outside/m.safetensors", "real/../../outside/m.safetensors"}) {
    EXPECT_FALSE(root->OpenFile(path).ok()) << path;
  }
  EXPECT_FALSE(root->OpenFile(dir_.Path("outside/m.safetensors")).ok());
}

}  // namespace
}  // namespace tensord
