#include "server/http_answer.h"

#include "absl/strings/str_cat.h"
#include "server/http_request.h"

namespace tensord {
namespace {

absl::string_view Phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "Service Unavailable";
  }
}

std::string Encode(const HttpResponse& response, bool with_body) {
  return absl::StrCat(
      "HTTP/1.1 ", response.status, " ", Phrase(response.status),
      "\r\nContent-Type: ", response.content_type, "\r\nContent-Length: ", response.body.size(),
      "\r\nConnection: close\r\nCache-Control: no-store\r\n",
      response.status == 405 ? "Allow: GET, HEAD\r\n" : "", "\r\n", with_body ? response.body : "");
}

std::string Refusal(int status) {
  return Encode({.status = status, .body = absl::StrCat(Phrase(status), "\n")}, true);
}

}  // namespace

std::string AnswerHttp(absl::string_view received, const HttpHandler& handler) {
  const HttpRequest request = ParseHttpRequest(received);
  if (request.state == HttpRequest::State::kMalformed) return Refusal(400);
  if (received.size() > kMaxHttpRequestBytes) return Refusal(431);
  if (request.state == HttpRequest::State::kIncomplete) return "";
  return request.is_get ? Encode(handler(request.path), !request.is_head) : Refusal(405);
}

}  // namespace tensord
