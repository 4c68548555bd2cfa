#include "server/http_answer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tensord {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class HttpAnswerTest : public testing::Test {
 protected:
  std::string Answer(const std::string& received) {
    return AnswerHttp(received, [this](absl::string_view path) {
      asked_.emplace_back(path);
      HttpResponse response;
      response.body = "page\n";
      return response;
    });
  }

  std::vector<std::string> asked_;
};

TEST_F(HttpAnswerTest, GetIsAnsweredWithThePageOnceItIsComplete) {
  EXPECT_EQ(Answer("GET /livez?a=b HTTP/1.1\r\n"), "");
  EXPECT_THAT(asked_, IsEmpty());
  const std::string answer = Answer("GET /livez?a=b HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\npage\n"));
  EXPECT_THAT(asked_, ElementsAre("/livez"));
}

TEST_F(HttpAnswerTest, HeadHasTheLengthAndNoBody) {
  const std::string answer = Answer("HEAD /livez HTTP/1.0\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpAnswerTest, OtherMethodsAreRefusedAndToldWhichAreNot) {
  const std::string answer = Answer("DELETE /metrics HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(HttpAnswerTest, WhatIsNoHttpIsABadRequest) {
  EXPECT_THAT(Answer("hello\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(HttpAnswerTest, ARequestOfMoreThanTheMostIsRefusedThoughItIsComplete) {
  const std::string head = "GET /livez HTTP/1.1\r\nA: ";
  const std::string tail = "\r\n\r\n";
  const std::string most(kMaxHttpRequestBytes - head.size() - tail.size(), 'a');
  EXPECT_THAT(Answer(head + most + tail), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Answer(head + most + "a" + tail), StartsWith("HTTP/1.1 431 "));
  EXPECT_EQ(Answer(head + most), "");
  EXPECT_THAT(Answer(head + most + "aaaaa"), StartsWith("HTTP/1.1 431 "));
}

}  // namespace
}  // namespace tensord
