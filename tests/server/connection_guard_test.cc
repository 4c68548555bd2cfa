// The guard around a real server, met over raw sockets.
#include "server/connection_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/server.h"
#include "src/live_catalog.h"
#include "src/owned_fd.h"
#include "tests/temp_dir.h"

namespace tensord {
namespace {

constexpr int kPatienceMs = 20'000;  // Far above what anything here takes.

// Preface, empty SETTINGS, and the acknowledgement of the server's.
const std::string kHello = std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") +
                           std::string("\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0", 18);

struct Way {
  const char* name;
  bool is_unix;
};

class ConnectionGuardTest : public testing::TestWithParam<Way> {
 protected:
  void Start(const GuardLimits& limits) {
    ServerOptions options;
    options.listen = {GetParam().is_unix ? "unix:" + Path() : "127.0.0.1:0"};
    options.guard = limits;
    options.guard_report = [this](CloseReason reason, const std::string& peer,
                                  const std::string& /*error*/) {
      reports_.emplace_back(reason, peer);
    };
    options.refusal_report = [this](AcceptResult result, const std::string& peer) {
      refusals_.emplace_back(result, peer);
    };
    auto server = Server::Start(options, &catalog_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  std::string Path() const { return dir_.Path("s.sock"); }

  // Connects from 127.0.0.`host`, as far as there are hosts.
  OwnedFd Dial(int host = 1) {
    if (GetParam().is_unix) {
      OwnedFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un to{};
      to.sun_family = AF_UNIX;
      std::strncpy(to.sun_path, Path().c_str(), sizeof(to.sun_path) - 1);
      EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
      return fd;
    }
    OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in from = Loopback(host, 0);
    const sockaddr_in to = Loopback(1, server_->port());
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof(from)), 0);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    return fd;
  }

  // True when the server closes the connection; what it sends before is passed over.
  static bool IsClosed(const OwnedFd& fd) {
    char buffer[4096];
    for (;;) {
      pollfd readable{fd.get(), POLLIN, 0};
      if (poll(&readable, 1, kPatienceMs) == 0) return false;
      if (recv(fd.get(), buffer, sizeof(buffer), 0) <= 0) return true;
    }
  }

  // Sends `text` again and again until the server has closed. Without blocking: the kernel asks a
  // window that has been full for room at ever longer intervals, a minute and more, and hears only
  // then that nobody is there.
  static void SendUntilClosed(const OwnedFd& fd, const std::string& text) {
    for (size_t sent = 0;;) {
      pollfd writable{fd.get(), POLLOUT | POLLRDHUP, 0};
      ASSERT_EQ(poll(&writable, 1, kPatienceMs), 1);
      if ((writable.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return;
      const ssize_t size =
          send(fd.get(), text.data() + sent, text.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size > 0) sent = (sent + static_cast<size_t>(size)) % text.size();
    }
  }

  // True when the server speaks: it has taken the connection, and gRPC sends its settings. A
  // refused one may be closed before the hello is sent.
  static bool IsServed(const OwnedFd& fd) {
    if (send(fd.get(), kHello.data(), kHello.size(), MSG_NOSIGNAL) < 0) return false;
    pollfd readable{fd.get(), POLLIN, 0};
    char byte;
    return poll(&readable, 1, kPatienceMs) == 1 && recv(fd.get(), &byte, 1, 0) == 1;
  }

  // By the only listener.
  uint64_t Offered(AcceptResult result) const {
    return server_->guard().listeners().front().offered(result);
  }

  const TempDir dir_;
  const LiveCatalog catalog_;
  std::vector<std::pair<CloseReason, std::string>> reports_;
  std::vector<std::pair<AcceptResult, std::string>> refusals_;  // Of the accept loop's thread.
  std::unique_ptr<Server> server_;

 private:
  static sockaddr_in Loopback(int host, int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<uint32_t>(host) - 1);
    return address;
  }
};

INSTANTIATE_TEST_SUITE_P(Sockets, ConnectionGuardTest,
                         testing::Values(Way{"Tcp", false}, Way{"Unix", true}),
                         [](const testing::TestParamInfo<Way>& way) { return way.param.name; });

TEST_P(ConnectionGuardTest, ConnectionsOfAPeerAreLimitedAndPlacesComeBack) {
  GuardLimits limits;
  limits.max_connections_per_peer = 3;
  Start(limits);
  std::vector<OwnedFd> kept;
  for (int i = 0; i < 3; ++i) {
    kept.push_back(Dial());
    EXPECT_TRUE(IsServed(kept.back()));
  }
  EXPECT_TRUE(IsClosed(Dial()));
  EXPECT_EQ(Offered(AcceptResult::kPeerLimit), 1);
  while (Offered(AcceptResult::kAccepted) < 3) {  // Counted when handed on.
  }
  kept.pop_back();
  // The server learns of the end from gRPC's threads: try until it has.
  OwnedFd again = Dial();
  while (!IsServed(again)) again = Dial();
}

TEST_P(ConnectionGuardTest, ConnectionsInAllAreLimited) {
  GuardLimits limits;
  limits.max_connections = 2;
  Start(limits);
  const OwnedFd first = Dial(1), second = Dial(2);
  EXPECT_TRUE(IsServed(first));
  EXPECT_TRUE(IsServed(second));
  EXPECT_TRUE(IsClosed(Dial(3)));
  EXPECT_EQ(Offered(AcceptResult::kLimit), 1);
  server_.reset();  // Ends the thread that reports.
  const std::string peer =
      GetParam().is_unix ? "uid:" + std::to_string(getuid()) : std::string("127.0.0.3");
  EXPECT_THAT(refusals_, testing::ElementsAre(testing::Pair(AcceptResult::kLimit, peer)));
}

TEST_P(ConnectionGuardTest, WhoSaysNothingIsClosed) {
  GuardLimits limits;
  limits.handshake_timeout = std::chrono::milliseconds(100);
  Start(limits);
  const OwnedFd silent = Dial(), half = Dial();
  EXPECT_EQ(send(half.get(), kHello.data(), 10, MSG_NOSIGNAL), 10);
  EXPECT_TRUE(IsClosed(silent));
  EXPECT_TRUE(IsClosed(half));
}

TEST_P(ConnectionGuardTest, BytesWithoutEndAreCutAndReported) {
  GuardLimits limits;
  limits.inbound_burst_bytes = 1 << 20;  // The server makes two of its largest requests of it.
  Start(limits);
  const OwnedFd fd = Dial();
  EXPECT_TRUE(IsServed(fd));
  const std::string updates = [] {
    std::string text;
    for (int i = 0; i < 10'000; ++i) text += std::string("\0\0\4\10\0\0\0\0\0\0\0\0\1", 13);
    return text;
  }();
  SendUntilClosed(fd, updates);
  EXPECT_TRUE(IsClosed(fd));
  EXPECT_EQ(server_->guard().closed(CloseReason::kInboundRate), 1);
  const std::string peer =
      GetParam().is_unix ? "uid:" + std::to_string(getuid()) : std::string("127.0.0.1");
  EXPECT_THAT(reports_, testing::ElementsAre(testing::Pair(CloseReason::kInboundRate, peer)));
}

// Calls that begin and are cancelled at once, without a word in them.
std::string CancelledCalls(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const char stream = static_cast<char>(2 * i + 1);
    text += std::string("\0\0\0\1\4\0\0\0", 8) + stream;
    text += std::string("\0\0\4\3\0\0\0\0", 8) + stream + std::string("\0\0\0\10", 4);
  }
  return text;
}

TEST_P(ConnectionGuardTest, WhatAPeerMayCancelIsLessWithEachConnection) {
  constexpr int kCalls = 60;
  GuardLimits limits;
  limits.peer_cancels_burst = 2 * kCalls;
  limits.peer_cancels_per_second = 0;
  limits.spare_cancels_burst = 3;
  limits.spare_cancels_per_second = 0;
  Start(limits);
  const std::string calls = kHello + CancelledCalls(kCalls);
  for (int i = 0; i < 5; ++i) {
    const OwnedFd fd = Dial();
    EXPECT_EQ(send(fd.get(), calls.data(), calls.size(), MSG_NOSIGNAL), calls.size());
    shutdown(fd.get(), SHUT_WR);
    EXPECT_TRUE(IsClosed(fd)) << "once the server has read it all";
  }
  const OwnedFd last = Dial();
  send(last.get(), calls.data(), calls.size(), MSG_NOSIGNAL);
  EXPECT_TRUE(IsClosed(last));
  EXPECT_GE(server_->guard().closed(CloseReason::kCancels), 1);
  // Others behind the same address go on, at most a little later.
  EXPECT_TRUE(IsServed(Dial()));
}

TEST_P(ConnectionGuardTest, WhatALostConnectionHasSentIsStillCounted) {
  constexpr int kCalls = 60;
  GuardLimits limits;
  limits.peer_cancels_burst = kCalls;
  limits.peer_cancels_per_second = 0;
  limits.spare_cancels_burst = 0;
  Start(limits);
  const std::string calls = kHello + CancelledCalls(kCalls);
  // Unread answers make a reset of the close, which the accept loop may see before gRPC reads.
  while (server_->guard().closed(CloseReason::kCancels) == 0) {
    const OwnedFd fd = Dial();
    EXPECT_TRUE(IsServed(fd));
    send(fd.get(), calls.data() + kHello.size(), calls.size() - kHello.size(), MSG_NOSIGNAL);
  }
}

TEST_P(ConnectionGuardTest, ManyConnectionsOneAfterTheOtherLeaveNothing) {
  GuardLimits limits;
  limits.max_connections_per_peer = 20;
  Start(limits);
  for (int i = 0; i < 300;) {
    const OwnedFd fd = Dial();
    if (IsServed(fd)) ++i;  // Else earlier ones are still being taken down.
  }
  while (Offered(AcceptResult::kAccepted) < 300) {  // Counted when handed on.
  }
}

}  // namespace
}  // namespace tensord
