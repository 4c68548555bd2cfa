#include "client/tensorctl/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace tensord::ctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

absl::StatusOr<CommandLine> Parse(std::vector<const char*> words) {
  words.insert(words.begin(), "tensorctl");
  return ParseCommandLine(static_cast<int>(words.size()), words.data());
}

template <typename Options>
Options ParsedAs(std::vector<const char*> words) {
  const auto line = Parse(std::move(words));
  if (!line.ok() || !std::holds_alternative<Options>(line->command)) {
    ADD_FAILURE() << line.status();
    return {};
  }
  return std::get<Options>(line->command);
}

class CommandLineTest : public testing::Test {
 protected:
  void SetUp() override { unsetenv("TENSORD_ADDRESS"); }
  void TearDown() override { unsetenv("TENSORD_ADDRESS"); }
};

TEST_F(CommandLineTest, TakesTheServerFromFlagThenEnvironmentThenDefault) {
  EXPECT_EQ(Parse({"models"})->global.server, "127.0.0.1:50051");
  setenv("TENSORD_ADDRESS", "host:1", 1);
  EXPECT_EQ(Parse({"models"})->global.server, "host:1");
  EXPECT_EQ(Parse({"--server", "host:2", "models"})->global.server, "host:2");
}

TEST_F(CommandLineTest, GlobalOptionsMayFollowTheCommand) {
  const auto line = Parse({"ls", "gpt2", "--json", "--timeout", "1m30s"});
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_TRUE(line->global.json);
  EXPECT_EQ(line->global.timeout, absl::Seconds(90));
}

TEST_F(CommandLineTest, TensorArgumentsAreTakenAsTheyStand) {
  EXPECT_EQ(ParsedAs<PeekOptions>({"peek", "m", "[a,b]"}).tensor, "[a,b]");
  EXPECT_EQ(ParsedAs<PeekOptions>({"peek", "m", "w[0:2, ::-1]"}).tensor, "w[0:2, ::-1]");
  EXPECT_EQ(ParsedAs<PeekOptions>({"peek", "m", "--", "-x"}).tensor, "-x");
  EXPECT_EQ(ParsedAs<PeekOptions>({"peek", "m", ""}).tensor, "");
}

TEST_F(CommandLineTest, AnEmptyTensorNameIsATensor) {
  EXPECT_TRUE(ParsedAs<ShowOptions>({"show", "m", ""}).has_tensor);
  EXPECT_FALSE(ParsedAs<ShowOptions>({"show", "m"}).has_tensor);
}

TEST_F(CommandLineTest, AModelMayBeCalledAsACommand) {
  EXPECT_EQ(ParsedAs<ShowOptions>({"show", "ls"}).model, "ls");
  EXPECT_EQ(ParsedAs<ShowOptions>({"show", "ls", "get"}).tensor, "get");
}

TEST_F(CommandLineTest, PathsMayHaveBracketsAndSpaces) {
  EXPECT_THAT(ParsedAs<CheckOptions>({"check", "[a,b]", "c d", "{}"}).paths,
              ElementsAre("./[a,b]", "c d", "{}"));
  EXPECT_THAT(ParsedAs<CheckOptions>({"check", "{}"}).paths, ElementsAre("{}"));
}

TEST_F(CommandLineTest, ListsAreRepeated) {
  EXPECT_THAT(
      ParsedAs<PullOptions>({"pull", "m", "d", "--include", "[ab]*", "--include", "c,d"}).includes,
      ElementsAre("[ab]*", "c,d"));
  const auto get = ParsedAs<GetOptions>(
      {"get", "m", "t", "-o", "x.bin", "--shard", "-1:0/2", "--shard", "0:1/4,multiple=64"});
  ASSERT_THAT(get.shards, SizeIs(2));
  EXPECT_EQ(get.shards[0].dimension, -1);
  EXPECT_EQ(get.shards[1].shard.multiple, 64u);
  EXPECT_THAT(ParsedAs<LsOptions>({"ls", "m", "--dtype", "F32", "--dtype", "BF16"}).dtypes,
              ElementsAre(Dtype::kF32, Dtype::kBF16));
}

TEST_F(CommandLineTest, HelpAndVersionAreTexts) {
  EXPECT_THAT(ParsedAs<ShowText>({"--help"}).text, HasSubstr("Exit codes:"));
  EXPECT_THAT(ParsedAs<ShowText>({"get", "--help"}).text, HasSubstr("-o wte.npy"));
  EXPECT_THAT(ParsedAs<ShowText>({"get", "--help"}).text, HasSubstr("Usage: tensorctl get"));
  EXPECT_THAT(ParsedAs<ShowText>({"--version"}).text, testing::StartsWith("tensorctl "));
}

struct UsageRow {
  std::string name;
  std::vector<const char*> words;
  std::string message;
};

class UsageTest : public testing::TestWithParam<UsageRow> {};

TEST_P(UsageTest, IsAUsageError) {
  const auto line = Parse(GetParam().words);
  EXPECT_EQ(ExitCodeOf(line.status()), ExitCode::kUsage) << line.status();
  EXPECT_THAT(line.status().message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, UsageTest,
    testing::Values(UsageRow{"NoCommand", {}, "no command"},
                    UsageRow{"UnknownCommand", {"frobnicate"}, "frobnicate"},
                    UsageRow{"UnknownOption", {"models", "--frob"}, "--frob"},
                    UsageRow{"MissingModel", {"ls"}, "MODEL"},
                    UsageRow{"MissingOutput", {"get", "m", "t"}, "--output"},
                    UsageRow{"MissingPath", {"check"}, "PATH"},
                    UsageRow{"TooMuch", {"peek", "m", "t", "u"}, "u"},
                    UsageRow{"BadShard", {"peek", "m", "t", "--shard", "x"}, "DIM:I/N"},
                    UsageRow{"BadDtype", {"ls", "m", "--dtype", "float"}, "BF16"},
                    UsageRow{"BadTimeout", {"models", "--timeout", "soon"}, "30s"},
                    UsageRow{"NoTime", {"models", "--timeout", "0s"}, "30s"},
                    UsageRow{"ControlBytes", {"\x1b[31m"}, "\\x1b[31m"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace tensord::ctl
