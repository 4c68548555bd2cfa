#include "server/http_request.h"

#include <string>

#include "gtest/gtest.h"

namespace tensord {
namespace {

using State = HttpRequest::State;

TEST(HttpRequest, IsCompleteWithItsHeaders) {
  const std::string text = "GET /readyz?verbose=1 HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(ParseHttpRequest(text.substr(0, size)).state, State::kIncomplete) << size;
  }
  const HttpRequest request = ParseHttpRequest(text);
  EXPECT_EQ(request.state, State::kComplete);
  EXPECT_TRUE(request.is_get);
  EXPECT_FALSE(request.is_head);
  EXPECT_EQ(request.path, "/readyz");
}

TEST(HttpRequest, OlderClientsAndHeadAreUnderstood) {
  const HttpRequest request = ParseHttpRequest("HEAD /livez HTTP/1.0\r\n\r\n");
  EXPECT_EQ(request.state, State::kComplete);
  EXPECT_TRUE(request.is_head);
}

TEST(HttpRequest, OtherMethodsAreTold) {
  const HttpRequest request =
      ParseHttpRequest("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(request.state, State::kComplete);
  EXPECT_FALSE(request.is_get);
}

TEST(HttpRequest, WhatIsNoHttpIsMalformed) {
  for (const char* text : {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "hello\r\n\r\n", "\x16\x03\x01",
                           "GET /\r\nHost\r\n\r\n", "GET / HTTP/1.1\r\nA\x01: b\r\n\r\n"}) {
    EXPECT_NE(ParseHttpRequest(text).state, State::kComplete) << text;
  }
}

}  // namespace
}  // namespace tensord
