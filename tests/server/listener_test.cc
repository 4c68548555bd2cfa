#include "server/listener.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr mode_t kMode = 0640;

absl::StatusOr<Listener> OpenOne(const std::string& address) {
  auto listeners = Listener::Open(address, kMode);
  if (!listeners.ok()) return listeners.status();
  return std::move(listeners->front());
}

struct Row {
  const char* name;
  const char* address;
  const char* message;
};

class BadAddress : public testing::TestWithParam<Row> {};

TEST_P(BadAddress, IsAnInvalidArgumentThatSaysWhy) {
  const auto listeners = Listener::Open(GetParam().address, kMode);
  EXPECT_TRUE(absl::IsInvalidArgument(listeners.status())) << listeners.status();
  EXPECT_THAT(std::string(listeners.status().message()), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Listener, BadAddress,
                         testing::Values(Row{"NoPort", "localhost", "no port"},
                                         Row{"NoHost", ":50051", "no host"},
                                         Row{"LargePort", "127.0.0.1:65536", "port between"},
                                         Row{"TextPort", "127.0.0.1:http", "port between"},
                                         Row{"BareIpv6", "::1:50051", "brackets"},
                                         Row{"UnknownHost", "no.such.host.invalid:0", "is unknown"},
                                         Row{"EmptyPath", "unix:", "1 to 107 bytes"}),
                         [](const testing::TestParamInfo<Row>& row) { return row.param.name; });

TEST(Listener, CheckFindsWhatOpenWouldRefuse) {
  const TempDir directory;
  const std::string file = directory.path() + "/file";
  std::ofstream(file) << "text";
  EXPECT_TRUE(absl::IsInvalidArgument(Listener::Check("no.such.host.invalid:0")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Listener::Check("unix:/nowhere/a.sock")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Listener::Check("unix:" + file)));
  EXPECT_TRUE(Listener::Check("unix:" + directory.path() + "/a.sock").ok());
  EXPECT_TRUE(Listener::Check("127.0.0.1:0").ok());
}

// Makes IPv6 unknown to this process, as a kernel that was started without it does.
void ForgetIpv6() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {static_cast<unsigned short>(std::size(program)), program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) std::abort();
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) std::abort();
}

TEST(ListenerDeathTest, AllAddressesAreThoseOfIpv4WhereThereIsNoIpv6) {
  const auto listen = [] {
    ForgetIpv6();
    const auto listener = OpenOne("[::]:0");
    std::cerr << (listener.ok() ? listener->address() : listener.status().ToString());
    std::exit(0);
  };
  EXPECT_EXIT(listen(), testing::ExitedWithCode(0), "^0.0.0.0:[0-9]+$");
}

class GoodAddress : public testing::TestWithParam<Row> {};

TEST_P(GoodAddress, ListensAtAFreePort) {
  const auto listener = OpenOne(GetParam().address);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_GT(listener->port(), 0);
  EXPECT_EQ(listener->address(), GetParam().message + std::to_string(listener->port()));
  EXPECT_FALSE(listener->is_remote());
}

INSTANTIATE_TEST_SUITE_P(Listener, GoodAddress,
                         testing::Values(Row{"Plain", "127.0.0.1:0", "127.0.0.1:"},
                                         Row{"Scheme", "ipv4:127.0.0.1:0", "127.0.0.1:"},
                                         Row{"Dns", "dns:///127.0.0.1:0", "127.0.0.1:"}),
                         [](const testing::TestParamInfo<Row>& row) { return row.param.name; });

TEST(Listener, WildcardIsRemote) {
  const auto listener = OpenOne("0.0.0.0:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(listener->is_remote());
}

TEST(Listener, PortInUseIsAlreadyExists) {
  const auto first = OpenOne("127.0.0.1:0");
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(OpenOne(first->address()).status()));
}

TEST(Listener, UnixSocketHasItsModeAndGoesWithItsListener) {
  const TempDir dir;
  const std::string path = dir.Path("t.sock");
  for (const std::string& address : {"unix:" + path, "unix://" + path}) {
    {
      const auto listener = OpenOne(address);
      ASSERT_TRUE(listener.ok()) << listener.status();
      EXPECT_EQ(listener->address(), "unix:" + path);
      struct stat found;
      ASSERT_EQ(lstat(path.c_str(), &found), 0);
      EXPECT_EQ(found.st_mode & 0777, kMode);
    }
    EXPECT_FALSE(std::filesystem::exists(path));
  }
}

TEST(Listener, LongestUnixPathIs107Bytes) {
  const TempDir dir;
  const std::string base = dir.Path("");
  const std::string longest = base + std::string(107 - base.size(), 's');
  EXPECT_TRUE(OpenOne("unix:" + longest).ok());
  const auto longer = OpenOne("unix:" + longest + "s");
  EXPECT_TRUE(absl::IsInvalidArgument(longer.status()));
  EXPECT_THAT(std::string(longer.status().message()), HasSubstr("got 108"));
}

TEST(Listener, LiveSocketStaysAndAStaleOneIsReplaced) {
  const TempDir dir;
  const std::string address = "unix:" + dir.Path("t.sock");
  const auto first = OpenOne(address);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(absl::IsAlreadyExists(OpenOne(address).status()));
  EXPECT_TRUE(std::filesystem::exists(dir.Path("t.sock")));

  // Bound by a process that has died: nobody listens.
  const std::string stale = dir.Path("stale.sock");
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strcpy(name.sun_path, stale.c_str());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  close(fd);
  EXPECT_TRUE(OpenOne("unix:" + stale).ok());
}

TEST(Listener, FileThatIsNoSocketStays) {
  const TempDir dir;
  const std::string path = dir.Write("precious", "data");
  const auto listener = OpenOne("unix:" + path);
  EXPECT_TRUE(absl::IsFailedPrecondition(listener.status())) << listener.status();
  EXPECT_THAT(std::string(listener.status().message()), HasSubstr("is no socket"));
  EXPECT_EQ(Listener::Check("unix:" + path), listener.status());
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(Listener, SocketOfAnotherServerIsNotRemoved) {
  const TempDir dir;
  const std::string path = dir.Path("t.sock");
  std::optional<Listener> first(*OpenOne("unix:" + path));
  std::filesystem::remove(path);
  const auto second = OpenOne("unix:" + path);
  ASSERT_TRUE(second.ok());
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(Listener, MissingDirectoryIsAFailedPrecondition) {
  const TempDir dir;
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenOne("unix:" + dir.Path("none/t.sock")).status()));
}

}  // namespace
}  // namespace tensord
