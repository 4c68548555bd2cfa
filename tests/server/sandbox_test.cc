// Each test enters the sandbox in a process of its own, because there is no way out.
#include "server/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

// What `body` returns in a child process; 255 when it crashed.
int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

// 0, or the errno of a call that failed.
int Errno(long result) { return result < 0 ? errno : 0; }

int Open(const std::string& path, int flags) { return Errno(open(path.c_str(), flags, 0600)); }

class SandboxTest : public testing::Test {
 protected:
  SandboxTest() {
    mkdir(dir_.Path("store").c_str(), 0700);
    mkdir(dir_.Path("sockets").c_str(), 0700);
    std::ofstream(dir_.Path("store/inside")) << "x";
    std::ofstream(dir_.Path("outside")) << "x";
    EXPECT_EQ(symlink(dir_.Path("outside").c_str(), dir_.Path("store/escape").c_str()), 0);
  }

  // What `body` returns in a process that has entered.
  int Confined(const std::function<int()>& body) {
    return InChild([&] {
      Sandbox sandbox(SandboxMode::kRequire);
      const LandlockRules rules{ReadableFor(dir_.Path("store")), {dir_.Path("sockets")}};
      if (!sandbox.ConfineFiles(rules).ok() || !sandbox.ConfineCalls().ok()) return 254;
      return body();
    });
  }

  const TempDir dir_;
};

TEST_F(SandboxTest, TheStoreCanBeRead) {
  EXPECT_EQ(Confined([&] { return Open(dir_.Path("store/inside"), O_RDONLY); }), 0);
}

TEST_F(SandboxTest, NothingElseCanBeOpened) {
  for (const std::string& path : {dir_.Path("outside"), dir_.Path("store/escape"),
                                  std::string("/etc/passwd"), std::string("/proc/1/environ")}) {
    EXPECT_EQ(Confined([&] { return Open(path, O_RDONLY); }), EACCES) << path;
  }
}

TEST_F(SandboxTest, NothingCanBeWritten) {
  for (const int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_CREAT, O_RDONLY | O_TRUNC}) {
    EXPECT_EQ(Confined([&] { return Open(dir_.Path("store/inside"), flags); }), EPERM) << flags;
  }
  EXPECT_EQ(Confined([&] { return Errno(mkdir(dir_.Path("store/new").c_str(), 0700)); }), EPERM);
  EXPECT_NE(Confined([&] { return Errno(unlink(dir_.Path("store/inside").c_str())); }), 0);
}

TEST_F(SandboxTest, NoProgramRunsAndNoProcessBegins) {
  EXPECT_EQ(Confined([] {
              char* const arguments[] = {nullptr};
              return Errno(execve("/bin/true", arguments, arguments));
            }),
            EPERM);
  EXPECT_EQ(Confined([] { return Errno(fork()); }), EPERM);
}

TEST_F(SandboxTest, NoSocketIsMade) {
  EXPECT_EQ(Confined([] { return Errno(socket(AF_INET, SOCK_STREAM, 0)); }), EPERM);
  EXPECT_EQ(Confined([] { return Errno(socket(AF_UNIX, SOCK_STREAM, 0)); }), EPERM);
}

TEST_F(SandboxTest, ThreadsStillBegin) {
  EXPECT_EQ(Confined([] {
              int done = 0;
              std::thread([&] { done = 7; }).join();
              return done;
            }),
            7);
}

TEST_F(SandboxTest, ThreadsThatRunAlreadyAreConfinedToo) {
  const int result = InChild([] {
    std::atomic<bool> confined = false;
    int error = 0;
    std::thread other([&] {
      while (!confined) std::this_thread::yield();
      error = Errno(socket(AF_INET, SOCK_STREAM, 0));
    });
    if (!Sandbox(SandboxMode::kRequire).ConfineCalls().ok()) return 254;
    confined = true;
    other.join();
    return error;
  });
  EXPECT_EQ(result, EPERM);
}

TEST_F(SandboxTest, OffConfinesNothing) {
  EXPECT_EQ(InChild([&] {
              Sandbox sandbox(SandboxMode::kOff);
              if (!sandbox.ConfineFiles({}).ok() || !sandbox.ConfineCalls().ok()) return 254;
              return Open(dir_.Path("outside"), O_RDWR);
            }),
            0);
}

TEST_F(SandboxTest, ALinkBringsItsDirectories) {
  ASSERT_EQ(symlink(dir_.Path("store").c_str(), dir_.Path("link").c_str()), 0);
  EXPECT_THAT(ReadableFor(dir_.Path("link")),
              testing::ElementsAre(dir_.Path("link"), dir_.Path("store"), testing::_, testing::_));
  EXPECT_THAT(ReadableFor(dir_.Path("store")), testing::ElementsAre(dir_.Path("store")));
  EXPECT_THAT(ReadableFor(dir_.Path("store/")), testing::ElementsAre(dir_.Path("store")));
}

}  // namespace
}  // namespace tensord
