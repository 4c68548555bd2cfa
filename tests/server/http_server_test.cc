#include "server/http_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tensord {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    auto listeners = Listener::Open("127.0.0.1:0", 0600);
    EXPECT_TRUE(listeners.ok()) << listeners.status();
    port_ = listeners->front().port();
    auto server = HttpServer::Start(*std::move(listeners), [](absl::string_view path) {
      HttpResponse response;
      response.status = path == "/there" ? 200 : 404;
      response.body = path == "/there" ? std::string(3 << 20, 'x') : "no\n";
      return response;
    });
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  OwnedFd Dial() const {
    OwnedFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port_));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return fd;
  }

  static std::string ReadAll(int fd) {
    std::string all;
    char buffer[65536];
    for (ssize_t size; (size = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
      all.append(buffer, static_cast<size_t>(size));
    }
    return all;
  }

  std::string Ask(const std::string& request) const {
    const OwnedFd fd = Dial();
    send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    return ReadAll(fd.get());
  }

  int port_ = 0;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersWithALengthAndCloses) {
  const std::string answer = Ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\nno\n"));
}

TEST_F(HttpServerTest, LargeAnswersArriveWhole) {
  const std::string answer = Ask("GET /there HTTP/1.1\r\n\r\n");
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 3u << 20);
}

TEST_F(HttpServerTest, HeadHasNoBody) {
  const std::string answer = Ask("HEAD /there HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3145728\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, RefusesWhatItDoesNotUnderstand) {
  EXPECT_THAT(Ask("POST /there HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET /" + std::string(3000, 'a') + " HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpServerTest, SilentClientsAreCutAndDoNotKeepOthersOut) {
  std::vector<OwnedFd> silent;
  // So many that nobody behind them would be answered if each had its time.
  for (size_t i = 0; i < 40 * HttpServer::kMaxConnections; ++i) silent.push_back(Dial());
  send(silent[0].get(), "GET", 3, MSG_NOSIGNAL);
  EXPECT_THAT(Ask("GET /nothing HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  for (const OwnedFd& fd : silent) EXPECT_EQ(ReadAll(fd.get()), "");
}

TEST_F(HttpServerTest, EndsWithConnectionsOpen) {
  const OwnedFd silent = Dial();
  server_.reset();
  EXPECT_EQ(ReadAll(silent.get()), "");
}

}  // namespace
}  // namespace tensord
