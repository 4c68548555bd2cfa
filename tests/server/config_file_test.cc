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

TEST(ConfigFile, CommentsMayStandBehindValues) {
  const auto entries = ParseConfig(
      "max-streams = 5 # enough\nstore = /models#1\nlisten = \"unix:/a # b\" # \"quoted\"\n"
      "preload =# no comment\nlog-level = # none\n");
  ASSERT_TRUE(entries.ok()) << entries.status();
  std::vector<std::string> values;
  for (const ConfigEntry& entry : *entries) values.push_back(entry.value);
  EXPECT_THAT(values, testing::ElementsAre("5", "/models#1", "unix:/a # b", "# no comment", ""));
}

TEST(ConfigFile, WhatIsWrittenReadsBackTheSame) {
  for (const char* value : {"", "5", " a ", "\"", "\"a\"", "\"a\" ", "a # b", "#", "# a", "a#b"}) {
    const auto text = ConfigText(value);
    ASSERT_TRUE(text) << value;
    const auto entries = ParseConfig("key = " + *text);
    ASSERT_TRUE(entries.ok()) << entries.status();
    EXPECT_EQ((*entries)[0].value, value);
  }
  EXPECT_FALSE(ConfigText("a\nb"));
  EXPECT_FALSE(ConfigText("a\" # b"));
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
