// What HTTP answers, without its sockets.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "absl/strings/string_view.h"

namespace tensord {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Called with the path, without its query; 404 is for it to say.
using HttpHandler = std::function<HttpResponse(absl::string_view path)>;

// Probes send some hundred bytes.
inline constexpr size_t kMaxHttpRequestBytes = 2 << 10;

// What to send in answer to a connection's bytes, of which `received` are all that have come; empty
// while more must come. `handler` is called for GET and HEAD only, once a request is complete;
// whatever else comes is refused.
std::string AnswerHttp(absl::string_view received, const HttpHandler& handler);

}  // namespace tensord
