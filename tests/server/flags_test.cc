#include "server/flags.h"

#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/exit_codes.h"

namespace tensord {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::variant<Flags, ExitNow> Parse(std::vector<const char*> arguments, bool is_terminal = true) {
  arguments.insert(arguments.begin(), "tensord");
  return ParseFlags(static_cast<int>(arguments.size()), arguments.data(), is_terminal);
}

// Aborts the test where the flags are refused.
Flags Good(const std::vector<const char*>& arguments, bool is_terminal = true) {
  auto parsed = Parse(arguments, is_terminal);
  EXPECT_TRUE(std::holds_alternative<Flags>(parsed));
  return std::get<Flags>(parsed);
}

TEST(Flags, DefaultsAreLoopbackAndOneMebibyte) {
  const Flags flags = Good({"--store", "/models"});
  ASSERT_EQ(flags.stores.size(), 1);
  EXPECT_EQ(flags.stores[0].name, "");
  EXPECT_EQ(flags.stores[0].path, "/models");
  EXPECT_THAT(flags.server.listen, ElementsAre("127.0.0.1:50051"));
  EXPECT_EQ(flags.server.unix_socket_mode, 0660);
  EXPECT_EQ(flags.server.chunk_bytes, 1 << 20);
  EXPECT_EQ(flags.server.max_request_bytes, 4 << 20);
  EXPECT_EQ(flags.server.reflection, Reflection::kAuto);
  EXPECT_EQ(flags.log_level, "info");
  EXPECT_FALSE(flags.check_config);
}

TEST(Flags, StoresMayHaveNames) {
  const Flags flags = Good({"--store", "a=/x", "--store=b.1=/y=z"});
  ASSERT_EQ(flags.stores.size(), 2);
  EXPECT_EQ(flags.stores[0].name, "a");
  EXPECT_EQ(flags.stores[0].path, "/x");
  EXPECT_EQ(flags.stores[1].name, "b.1");
  EXPECT_EQ(flags.stores[1].path, "/y=z");
  const StoreOptions unnamed = Good({"--store", "/p,q=r"}).stores[0];
  EXPECT_EQ(unnamed.name, "");
  EXPECT_EQ(unnamed.path, "/p,q=r");
}

TEST(Flags, ReadModeIsAutoUnlessGiven) {
  EXPECT_EQ(Good({"--store", "/m"}).catalog.read_mode, ReadMode::kAuto);
  EXPECT_EQ(Good({"--store", "/m", "--read-mode", "mmap"}).catalog.read_mode, ReadMode::kMmap);
  EXPECT_EQ(Good({"--store", "/m", "--read-mode", "pread"}).catalog.read_mode, ReadMode::kPread);
  EXPECT_TRUE(std::holds_alternative<ExitNow>(Parse({"--store", "/m", "--read-mode", "x"})));
}

TEST(Flags, BudgetsAndIntervalOfTheStores) {
  const Flags given = Good({"--store", "/m", "--rescan-interval", "2m", "--index-memory", "1GiB",
                            "--max-open-files", "100"});
  EXPECT_EQ(given.rescan_interval, std::chrono::minutes(2));
  EXPECT_EQ(given.catalog.index_memory_bytes, uint64_t{1} << 30);
  EXPECT_EQ(given.catalog.max_open_files, 100u);
  EXPECT_EQ(Good({"--store", "/m", "--rescan-interval", "0"}).rescan_interval,
            std::chrono::milliseconds(0));
  const Flags defaults = Good({"--store", "/m"});
  EXPECT_EQ(defaults.rescan_interval, std::nullopt);
  EXPECT_EQ(defaults.catalog.index_memory_bytes, uint64_t{64} << 20);
  EXPECT_EQ(defaults.catalog.max_open_files, 0u);
  for (const std::vector<const char*>& wrong :
       {std::vector<const char*>{"--rescan-interval", "often"},
        {"--index-memory", "1KiB"},
        {"--ready-min-models", "-1"},
        {"--max-open-files", "0"},
        {"--max-open-files", "100000"}}) {
    std::vector<const char*> arguments = {"--store", "/m"};
    arguments.insert(arguments.end(), wrong.begin(), wrong.end());
    EXPECT_TRUE(std::holds_alternative<ExitNow>(Parse(arguments))) << wrong[0] << " " << wrong[1];
  }
}

TEST(Flags, SizesTakeUnits) {
  const Flags flags =
      Good({"--store", "/m", "--chunk-bytes", "512KiB", "--max-request-size", "16MiB"});
  EXPECT_EQ(flags.server.chunk_bytes, 512 << 10);
  EXPECT_EQ(flags.server.max_request_bytes, 16 << 20);
}

TEST(Flags, LimitsOfConnections) {
  EXPECT_EQ(Good({"--store", "/m"}).server.guard.max_connections, 256);
  EXPECT_EQ(Good({"--store", "/m", "--max-connections", "7"}).server.guard.max_connections, 7);
  EXPECT_TRUE(std::holds_alternative<ExitNow>(Parse({"--store", "/m", "--max-connections", "0"})));
}

TEST(Flags, APeerHasAQuarterOfTheConnectionsAndNeverLessThanByDefault) {
  EXPECT_EQ(Good({"--store", "/m"}).server.guard.max_connections_per_peer, 64);
  EXPECT_EQ(Good({"--store", "/m", "--max-connections", "7"}).server.guard.max_connections_per_peer,
            64);
  EXPECT_EQ(
      Good({"--store", "/m", "--max-connections", "400"}).server.guard.max_connections_per_peer,
      100);
}

TEST(Flags, Sandbox) {
  EXPECT_EQ(Good({"--store", "/m"}).sandbox, SandboxMode::kAuto);
  EXPECT_EQ(Good({"--store", "/m", "--sandbox", "require"}).sandbox, SandboxMode::kRequire);
  EXPECT_EQ(Good({"--store", "/m", "--sandbox", "off"}).sandbox, SandboxMode::kOff);
  EXPECT_TRUE(std::holds_alternative<ExitNow>(Parse({"--store", "/m", "--sandbox", "on"})));
}

TEST(Flags, LimitsOfLoad) {
  const Flags flags = Good({"--store", "/m", "--max-streams", "7", "--stall-timeout", "1m30s",
                            "--buffer-memory", "8MiB"});
  EXPECT_EQ(flags.server.buffer_memory_bytes, 8 << 20);
  EXPECT_EQ(Good({"--store", "/m"}).server.buffer_memory_bytes, 64 << 20);
  EXPECT_EQ(flags.server.max_streams, 7);
  EXPECT_EQ(flags.server.stall_timeout, std::chrono::seconds(90));
  EXPECT_EQ(Good({"--store", "/m"}).server.max_streams, 1024);
  EXPECT_EQ(Good({"--store", "/m"}).server.stall_timeout, std::chrono::seconds(60));
  EXPECT_EQ(Good({"--store", "/m", "--stall-timeout", "0"}).server.stall_timeout.count(), 0);
  for (const char* bad : {"60", "-1s", "x", "", "25h", "inf"}) {
    EXPECT_TRUE(std::holds_alternative<ExitNow>(Parse({"--store", "/m", "--stall-timeout", bad})))
        << bad;
  }
  EXPECT_TRUE(std::holds_alternative<ExitNow>(Parse({"--store", "/m", "--max-streams", "0"})));
}

TEST(Flags, ModeIsOctal) {
  EXPECT_EQ(Good({"--store", "/m", "--unix-socket-mode", "600"}).server.unix_socket_mode, 0600);
}

TEST(Flags, LogIsTextOnATerminalAndJsonElsewhere) {
  EXPECT_EQ(Good({"--store", "/m"}, true).log_format, LogFormat::kText);
  EXPECT_EQ(Good({"--store", "/m"}, false).log_format, LogFormat::kJson);
  EXPECT_EQ(Good({"--store", "/m", "--log-format", "text"}, false).log_format, LogFormat::kText);
}

TEST(Flags, EnvironmentStandsInAndAFlagBeatsIt) {
  setenv("TENSORD_STORE", "a=/x,b=/y", 1);
  setenv("TENSORD_LISTEN", "unix:/s,127.0.0.1:1", 1);
  setenv("TENSORD_CHUNK_BYTES", "64KiB", 1);
  setenv("TENSORD_PORT", "tcp://10.0.0.1:80", 1);  // Kubernetes injects it: ignored.
  const Flags from_environment = Good({});
  const Flags from_flags = Good({"--store", "/m", "--listen", "[::1]:2", "--chunk-bytes", "1MiB"});
  for (const char* name :
       {"TENSORD_STORE", "TENSORD_LISTEN", "TENSORD_CHUNK_BYTES", "TENSORD_PORT"}) {
    unsetenv(name);
  }
  ASSERT_EQ(from_environment.stores.size(), 2);
  EXPECT_EQ(from_environment.stores[1].name, "b");
  EXPECT_THAT(from_environment.server.listen, ElementsAre("unix:/s", "127.0.0.1:1"));
  EXPECT_EQ(from_environment.server.chunk_bytes, 64 << 10);
  ASSERT_EQ(from_flags.stores.size(), 1);
  EXPECT_EQ(from_flags.stores[0].path, "/m");
  EXPECT_THAT(from_flags.server.listen, ElementsAre("[::1]:2"));
  EXPECT_EQ(from_flags.server.chunk_bytes, 1 << 20);
}

// A configuration file for one test.
class ConfigFlags : public testing::Test {
 protected:
  void SetUp() override { path_ = testing::TempDir() + "/tensord.conf"; }
  void TearDown() override {
    std::remove(path_.c_str());
    for (const char* name : {"TENSORD_CONFIG", "TENSORD_CHUNK_BYTES", "TENSORD_LISTEN"}) {
      unsetenv(name);
    }
  }

  void Write(const std::string& text) const { std::ofstream(path_) << text; }

  // What is printed to stderr of flags that are refused.
  std::string Refused(const std::vector<const char*>& arguments) const {
    testing::internal::CaptureStderr();
    const auto parsed = Parse(arguments);
    const std::string printed = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(std::holds_alternative<ExitNow>(parsed));
    if (const auto* exit = std::get_if<ExitNow>(&parsed)) {
      EXPECT_EQ(exit->code, kExitUsage);
    }
    return printed;
  }

  std::string path_;
};

TEST_F(ConfigFlags, AFlagBeatsItsVariableWhichBeatsItsLine) {
  Write("store = a=/a\nstore = b=/b\nchunk-bytes = 128KiB\nlisten = [::1]:1\nmax-streams = 9\n");
  setenv("TENSORD_CHUNK_BYTES", "256KiB", 1);
  setenv("TENSORD_LISTEN", "[::1]:2,[::1]:3", 1);
  const Flags flags = Good({"--config", path_.c_str(), "--listen", "[::1]:4"});
  ASSERT_EQ(flags.stores.size(), 2u);
  EXPECT_EQ(flags.stores[1].path, "/b");
  EXPECT_EQ(flags.server.chunk_bytes, 256u << 10);
  EXPECT_THAT(flags.server.listen, ElementsAre("[::1]:4"));
  EXPECT_EQ(flags.server.max_streams, 9u);
}

TEST_F(ConfigFlags, TheVariableNamesTheFileToo) {
  Write("store = /m\n");
  setenv("TENSORD_CONFIG", path_.c_str(), 1);
  EXPECT_EQ(Good({}).stores[0].path, "/m");
}

TEST_F(ConfigFlags, UnknownAndRepeatedKeysAreNamedWithTheirLine) {
  Write("store = /m\n\nchunk_bytes = 1MiB\n");
  EXPECT_THAT(Refused({"--config", path_.c_str()}), HasSubstr("line 3: there is no key"));
  Write("store = /m\nmax-streams = 1\nmax-streams = 2\n");
  EXPECT_THAT(Refused({"--config", path_.c_str()}), HasSubstr("line 3: max-streams stands here"));
  Write("config = /other\n");
  EXPECT_THAT(Refused({"--config", path_.c_str()}), HasSubstr("line 1: there is no key"));
  Write("chunk-bytes = 5\nstore = /m\n");
  EXPECT_THAT(Refused({"--config", path_.c_str()}), HasSubstr("tensord.conf line 1)"));
  EXPECT_THAT(Refused({"--config", "/nowhere"}), HasSubstr("/nowhere"));
}

TEST_F(ConfigFlags, AWrongVariableIsNamed) {
  setenv("TENSORD_CHUNK_BYTES", "5", 1);
  EXPECT_THAT(Refused({"--store", "/m"}), HasSubstr("(TENSORD_CHUNK_BYTES)"));
}

TEST_F(ConfigFlags, WhatIsPrintedReadsBackTheSame) {
  const auto print = [](const std::vector<const char*>& arguments) {
    testing::internal::CaptureStdout();
    const auto parsed = Parse(arguments);
    EXPECT_TRUE(std::holds_alternative<ExitNow>(parsed));
    return testing::internal::GetCapturedStdout();
  };
  const std::string printed =
      print({"--store", "a=/x y", "--store=b=/z", "--insecure-allow-remote", "--drain-delay", "3s",
             "--tls-cert", "\"a\" ", "--print-config"});
  EXPECT_THAT(printed, HasSubstr("store = a=/x y\nstore = b=/z\n"));
  EXPECT_THAT(printed, HasSubstr("drain-delay = 3s\n"));
  EXPECT_THAT(printed, HasSubstr("chunk-bytes = 1MiB\n"));
  EXPECT_THAT(printed, HasSubstr("# from the command line\ninsecure-allow-remote = true\n"));
  EXPECT_THAT(printed, HasSubstr("# io-threads = " + std::to_string(IoPool::DefaultThreads())));
  EXPECT_THAT(printed, HasSubstr("# rescan-interval = 10s\n"));
  EXPECT_THAT(printed, HasSubstr("# log-format = text\n"));
  Write(printed);
  const Flags flags = Good({"--config", path_.c_str()});
  EXPECT_EQ(flags.stores[0].path, "/x y");
  EXPECT_EQ(flags.drain_delay, std::chrono::seconds(3));
  EXPECT_EQ(flags.shutdown_grace, std::chrono::seconds(25));
  EXPECT_TRUE(flags.server.insecure_allow_remote);
  EXPECT_EQ(flags.server.credentials.tls.certificate, "\"a\" ");
  const auto without_origins = [](const std::string& text) {
    std::string kept;
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      if (!absl::StartsWith(line, "# from ")) absl::StrAppend(&kept, line, "\n");
    }
    return kept;
  };
  EXPECT_EQ(without_origins(print({"--config", path_.c_str(), "--print-config"})),
            without_origins(printed));
}

TEST_F(ConfigFlags, WhatNoFileCanHoldIsNotPrinted) {
  EXPECT_THAT(Refused({"--store", "/a\nb", "--print-config"}), HasSubstr("--store: no file can"));
}

TEST_F(ConfigFlags, AWrongSwitchOrAddressIsNamedWithItsLine) {
  Write("store = /m\ninsecure-allow-remote = maybe\n");
  EXPECT_THAT(Refused({"--config", path_.c_str()}), HasSubstr("tensord.conf line 2)"));
  Write("store = /m\n\nlisten = 127.0.0.1\n");
  EXPECT_THAT(Refused({"--config", path_.c_str()}), HasSubstr("tensord.conf line 3)"));
}

TEST(Flags, HttpHasADefaultThatMayBeSwitchedOff) {
  EXPECT_EQ(Good({"--store", "/m"}).http_listen, "127.0.0.1:9464");
  EXPECT_TRUE(Good({"--store", "/m"}).is_http_default);
  EXPECT_EQ(Good({"--store", "/m", "--http-listen", "off"}).http_listen, "");
  EXPECT_FALSE(Good({"--store", "/m", "--http-listen", "[::]:9464"}).is_http_default);
}

struct Row {
  const char* name;
  std::vector<const char*> arguments;
  const char* message;
};

class BadFlags : public testing::TestWithParam<Row> {};

TEST_P(BadFlags, AreAUsageErrorThatNamesThem) {
  testing::internal::CaptureStderr();
  const auto parsed = Parse(GetParam().arguments);
  const std::string printed = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(std::holds_alternative<ExitNow>(parsed));
  EXPECT_EQ(std::get<ExitNow>(parsed).code, kExitUsage);
  EXPECT_THAT(printed, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Flags, BadFlags,
    testing::Values(
        Row{"NoStore", {}, "--store is required"},
        Row{"EmptyStore", {"--store", "a="}, "directory is empty"},
        Row{"TwoWithoutNames", {"--store", "/a", "--store", "/b"}, "several stores need names"},
        Row{"OneWithoutName", {"--store", "a=/a", "--store", "/b"}, "several stores need names"},
        Row{"SameName", {"--store", "a=/a", "--store", "a=/b"}, "two stores are called a"},
        Row{"Unknown", {"--store", "/a", "--nonsense"}, "--nonsense"},
        Row{"SmallChunk", {"--store", "/a", "--chunk-bytes", "1KiB"}, "--chunk-bytes"},
        Row{"LargeChunk", {"--store", "/a", "--chunk-bytes", "4MiB"}, "--chunk-bytes"},
        Row{"BadMode", {"--store", "/a", "--unix-socket-mode", "888"}, "octal mode"},
        Row{"BadAddress", {"--store", "/a", "--listen", "nonsense"}, "has no port"},
        Row{"Url", {"--store", "/a", "--listen", "http://a:1"}, "begins with a scheme"},
        Row{"NoSocketPath", {"--store", "/a", "--listen", "unix:"}, "1 to 107 bytes"},
        Row{"BadHttpAddress", {"--store", "/a", "--http-listen", "localhost:x"}, "port between"},
        Row{"BadReflection", {"--store", "/a", "--reflection", "maybe"}, "--reflection"},
        Row{"BadLevel", {"--store", "/a", "--log-level", "loud"}, "--log-level"}),
    [](const testing::TestParamInfo<Row>& row) { return row.param.name; });

TEST(Flags, HelpAndVersionExitWithZero) {
  for (const char* flag : {"--help", "--version"}) {
    testing::internal::CaptureStdout();
    const auto parsed = Parse({flag});
    EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("tensord"));
    ASSERT_TRUE(std::holds_alternative<ExitNow>(parsed));
    EXPECT_EQ(std::get<ExitNow>(parsed).code, 0);
  }
}

}  // namespace
}  // namespace tensord
