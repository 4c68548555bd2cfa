#include "server/config_file.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tensord {
namespace {

using testing::HasSubstr;

TEST(ConfigFile, LinesAreKeysAndValues) {
  const auto entries = ParseConfig(
      "# models\n\n  store = /models \r\nlisten=unix:/a=b\nlog-level = \"debug\"\nempty =\n");
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 4u);
  EXPECT_EQ((*entries)[0].key, "store");
  EXPECT_EQ((*entries)[0].value, "/models");
  EXPECT_EQ((*entries)[0].line, 3);
  EXPECT_EQ((*entries)[1].value, "unix:/a=b");
  EXPECT_EQ((*entries)[2].value, "debug");
  EXPECT_EQ((*entries)[3].value, "");
}

TEST(ConfigFile, OtherLinesAreNamed) {
  EXPECT_THAT(ParseConfig("store = /m\n[server]\n").status().message(),
              HasSubstr("line 2: wanted key = value, got \"[server]\""));
  EXPECT_THAT(ParseConfig(absl::string_view("max-streams = 3\0004\n", 17)).status().message(),
              HasSubstr("line 1: has a control character"));
  EXPECT_THAT(ParseConfig("= /m\n").status().message(), HasSubstr("line 1"));
}

TEST(ConfigFile, AMissingFileIsNamed) {
  const auto entries = ReadConfigFile("/nowhere/tensord.conf");
  EXPECT_EQ(entries.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(entries.status().message(), HasSubstr("/nowhere/tensord.conf"));
}

TEST(ConfigFile, ADirectoryCannotBeRead) {
  EXPECT_EQ(ReadConfigFile("/").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ConfigFile, ALargeFileIsRefused) {
  EXPECT_EQ(ReadConfigFile("/dev/zero").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tensord
