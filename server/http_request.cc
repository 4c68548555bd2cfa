#include "server/http_request.h"

#include <http_parser.h>

namespace tensord {
namespace {

struct Reading {
  std::string target;
  bool is_complete = false;
};

int OnUrl(http_parser* parser, const char* at, size_t length) {
  static_cast<Reading*>(parser->data)->target.append(at, length);
  return 0;
}

// Headers are all that counts: a body is not read, and the connection is closed behind the answer.
int OnHeadersComplete(http_parser* parser) {
  static_cast<Reading*>(parser->data)->is_complete = true;
  http_parser_pause(parser, 1);
  return 0;
}

}  // namespace

HttpRequest ParseHttpRequest(absl::string_view bytes) {
  http_parser_settings settings;
  http_parser_settings_init(&settings);
  settings.on_url = &OnUrl;
  settings.on_headers_complete = &OnHeadersComplete;
  Reading reading;
  http_parser parser;
  http_parser_init(&parser, HTTP_REQUEST);
  parser.data = &reading;
  http_parser_execute(&parser, &settings, bytes.data(), bytes.size());

  HttpRequest request;
  if (!reading.is_complete) {
    const bool is_malformed = HTTP_PARSER_ERRNO(&parser) != HPE_OK || parser.upgrade != 0;
    if (is_malformed) request.state = HttpRequest::State::kMalformed;
    return request;
  }
  request.state = HttpRequest::State::kComplete;
  request.is_head = parser.method == HTTP_HEAD;
  request.is_get = request.is_head || parser.method == HTTP_GET;
  request.path = reading.target.substr(0, reading.target.find('?'));
  return request;
}

}  // namespace tensord
