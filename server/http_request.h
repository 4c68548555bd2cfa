// What a probe asks for.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace tensord {

struct HttpRequest {
  enum class State { kIncomplete, kComplete, kMalformed };
  State state = State::kIncomplete;
  bool is_get = false;  // GET or HEAD.
  bool is_head = false;
  std::string path;  // Without query.
};

// Reads one request from its first byte on; `bytes` is what has come of it so far.
HttpRequest ParseHttpRequest(absl::string_view bytes);

}  // namespace tensord
