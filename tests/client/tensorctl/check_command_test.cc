#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "client/tensorctl/commands.h"
#include "client/tensorctl/safetensors_writer.h"

namespace tensord::ctl {
namespace {

namespace fs = std::filesystem;

class CheckTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) /
            testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
    fs::create_directories(root_ / "sub");
    Write("good.safetensors", SafetensorsFileHeader("t", Dtype::kU8, {1}, 1) + "x");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(root_ / name, std::ios::binary) << bytes;
  }
  std::string Path(const std::string& name) const { return (root_ / name).string(); }

  // Standard output of `check`, and its code in code_.
  std::string Check(const std::vector<std::string>& paths, bool json = false) {
    testing::internal::CaptureStdout();
    const CommandResult result = RunCheck({paths}, Console(json));
    code_ = result.ok() ? *result : ExitCodeOf(result.status());
    return testing::internal::GetCapturedStdout();
  }

  fs::path root_;
  ExitCode code_ = ExitCode::kUsage;
};

TEST_F(CheckTest, AGoodFileIsOk) {
  EXPECT_EQ(Check({Path("good.safetensors")}), Path("good.safetensors") + ": OK\n");
  EXPECT_EQ(code_, ExitCode::kOk);
}

TEST_F(CheckTest, ABadFileHasItsVariantOnce) {
  Write("bad.safetensors", "short");
  const std::string text = Check({Path("bad.safetensors"), Path("good.safetensors")});
  EXPECT_EQ(text.rfind(Path("bad.safetensors") + ": HeaderTooSmall: ", 0), 0u) << text;
  EXPECT_EQ(text.find("HeaderTooSmall"), text.rfind("HeaderTooSmall"));
  EXPECT_NE(text.find(": OK\n"), std::string::npos);
  EXPECT_EQ(code_, ExitCode::kFailed);
}

TEST_F(CheckTest, DirectoriesAreWalkedInOrder) {
  Write("sub/b.safetensors", SafetensorsFileHeader("t", Dtype::kU8, {1}, 1) + "x");
  Write("sub/notes.txt", "no");
  fs::create_symlink(root_ / "good.safetensors", root_ / "link.safetensors");
  EXPECT_EQ(Check({root_.string()}), Path("good.safetensors") + ": OK\n" +
                                         Path("link.safetensors") + ": OK\n" +
                                         Path("sub/b.safetensors") + ": OK\n");
  EXPECT_EQ(code_, ExitCode::kOk);
}

TEST_F(CheckTest, NothingToCheckIsNotOk) {
  EXPECT_NE(Check({Path("sub")}).find("no *.safetensors file"), std::string::npos);
  EXPECT_EQ(code_, ExitCode::kFailed);
  EXPECT_NE(Check({Path("none")}).find("FILE_NOT_FOUND"), std::string::npos);
  EXPECT_EQ(code_, ExitCode::kFailed);
}

class CheckCheckpointTest : public CheckTest {
 protected:
  void SetUp() override {
    CheckTest::SetUp();
    fs::remove(Path("good.safetensors"));
    WriteShard("sub/x-00001-of-00002.safetensors", "a");
    WriteShard("sub/x-00002-of-00002.safetensors", "b");
  }
  void WriteShard(const std::string& name, const std::string& tensor) {
    Write(name, SafetensorsFileHeader(tensor, Dtype::kU8, {1}, 1) + "x");
  }
  void WriteIndex(const std::string& weight_map) {
    Write("sub/x.safetensors.index.json", R"({"weight_map": )" + weight_map + "}");
  }
  // The last line of `check`, the others being those of good files.
  std::string LastLine() {
    std::string text = Check({root_.string()});
    text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  }
};

constexpr char kWholeMap[] =
    R"({"a": "x-00001-of-00002.safetensors", "b": "x-00002-of-00002.safetensors"})";

TEST_F(CheckCheckpointTest, ACompleteOneHasNoLineOfItsOwn) {
  const std::string both = Path("sub/x-00001-of-00002.safetensors") + ": OK\n" +
                           Path("sub/x-00002-of-00002.safetensors") + ": OK\n";
  EXPECT_EQ(Check({root_.string()}), both);
  EXPECT_EQ(code_, ExitCode::kOk);
  WriteIndex(kWholeMap);
  EXPECT_EQ(Check({root_.string()}), both);
  EXPECT_EQ(code_, ExitCode::kOk);
}

TEST_F(CheckCheckpointTest, AShardThatIsMissingIsNumbered) {
  fs::remove(Path("sub/x-00002-of-00002.safetensors"));
  EXPECT_EQ(LastLine(),
            Path("sub/x") + ": SHARD_MISSING: 1 of 2 shards of \"x\" is missing: number 2");
  EXPECT_EQ(code_, ExitCode::kFailed);
}

TEST_F(CheckCheckpointTest, AShardThatIsMissingIsNamedByTheIndex) {
  WriteIndex(kWholeMap);
  fs::remove(Path("sub/x-00002-of-00002.safetensors"));
  EXPECT_EQ(LastLine(), Path("sub/x.safetensors.index.json") +
                            ": SHARD_MISSING: 1 file is missing: \"x-00002-of-00002.safetensors\"");
  EXPECT_EQ(code_, ExitCode::kFailed);
}

TEST_F(CheckCheckpointTest, TheIndexDecidesWhichShardsThereAre) {
  fs::remove(Path("sub/x-00002-of-00002.safetensors"));
  WriteIndex(R"({"a": "x-00001-of-00002.safetensors"})");
  Check({root_.string()});
  EXPECT_EQ(code_, ExitCode::kOk);
}

TEST_F(CheckCheckpointTest, ATensorThatIsMissingIsNamed) {
  WriteIndex(R"({"c": "x-00001-of-00002.safetensors"})");
  EXPECT_EQ(
      LastLine(),
      Path("sub/x.safetensors.index.json") +
          ": FILE_INVALID: file \"x-00001-of-00002.safetensors\" lacks tensor \"c\", which the "
          "index places in it");
  EXPECT_EQ(code_, ExitCode::kFailed);
}

TEST_F(CheckCheckpointTest, AnIndexByItsPathIsAFile) {
  WriteIndex(kWholeMap);
  EXPECT_EQ(Check({Path("sub/x.safetensors.index.json")}),
            Path("sub/x.safetensors.index.json") + ": OK\n");
  EXPECT_EQ(code_, ExitCode::kOk);
  Write("sub/x-00002-of-00002.safetensors", "short");
  EXPECT_NE(Check({Path("sub/x.safetensors.index.json")}).find(": HeaderTooSmall"),
            std::string::npos);
  WriteIndex("[]");
  EXPECT_NE(
      Check({Path("sub/x.safetensors.index.json")}).find(": FILE_INVALID: weight_map is no object"),
      std::string::npos);
  EXPECT_EQ(code_, ExitCode::kFailed);
}

TEST_F(CheckTest, PathsAreEscaped) {
  Write("a\x1b\nb.safetensors", "");
  const std::string text = Check({Path("a\x1b\nb.safetensors")});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

TEST_F(CheckTest, JsonIsOneObjectALine) {
  Write("bad\xff.safetensors", "short");
  const std::string text =
      Check({Path("good.safetensors"), Path("bad\xff.safetensors")}, /*json=*/true);
  const size_t cut = text.find('\n');
  const auto good = nlohmann::json::parse(text.substr(0, cut));
  const auto bad = nlohmann::json::parse(text.substr(cut + 1));
  EXPECT_EQ(good, (nlohmann::json{{"path", Path("good.safetensors")},
                                  {"ok", true},
                                  {"error", nullptr},
                                  {"message", nullptr},
                                  {"tensors", 1}}));
  EXPECT_EQ(bad["ok"], false);
  EXPECT_EQ(bad["error"], "HeaderTooSmall");
  EXPECT_EQ(code_, ExitCode::kFailed);
}

}  // namespace
}  // namespace tensord::ctl
