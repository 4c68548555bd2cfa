// Any bytes at the port of probes and metrics, coming in one piece or byte by byte: what is
// answered has the form of HTTP, only complete GET and HEAD requests reach the pages, and a request
// never waits for more once it is as long as it may be.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/http_answer.h"

namespace tensord {
namespace {

constexpr char kPage[] = "page\n";

void Expect(bool fact) {
  if (!fact) std::abort();
}

struct Asked {
  std::string answer;
  std::string path;
  int num_calls = 0;
};

Asked Ask(absl::string_view received) {
  Asked asked;
  asked.answer = AnswerHttp(received, [&](absl::string_view path) {
    asked.path = std::string(path);
    ++asked.num_calls;
    HttpResponse response;
    response.status = path == "/livez" ? 200 : 404;
    response.body = kPage;
    return response;
  });
  return asked;
}

void CheckForm(const Asked& asked) {
  const absl::string_view answer = asked.answer;
  Expect(absl::StartsWith(answer, "HTTP/1.1 "));
  int status = 0;
  Expect(absl::SimpleAtoi(answer.substr(9, 3), &status));
  Expect(status == 200 || status == 400 || status == 404 || status == 405 || status == 431);
  const size_t end = answer.find("\r\n\r\n");
  Expect(end != absl::string_view::npos);
  const absl::string_view body = answer.substr(end + 4);
  const bool is_page = asked.num_calls == 1;
  Expect(is_page == (status == 200 || status == 404));
  if (is_page) {
    Expect(body.empty() || body == kPage);  // HEAD, GET.
    Expect(absl::StrContains(answer, absl::StrCat("Content-Length: ", sizeof(kPage) - 1, "\r\n")));
    Expect((asked.path == "/livez") == (status == 200));
    Expect(asked.path.find('?') == std::string::npos);
    // Tabs, form feeds and bytes beyond ASCII are let through, as http-parser does by default.
    Expect(asked.path.find_first_of("\0 \r\n", 0, 4) == std::string::npos);
  }
}

}  // namespace
}  // namespace tensord

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tensord;  // NOLINT(google-build-using-namespace): the entry point is C.
  const absl::string_view whole(reinterpret_cast<const char*>(data), size);
  for (size_t received = 1; received <= size; ++received) {
    const Asked asked = Ask(whole.substr(0, received));
    if (asked.answer.empty()) {
      Expect(received <= kMaxHttpRequestBytes && asked.num_calls == 0);
      continue;
    }
    CheckForm(asked);
    break;  // The connection is closed behind the answer.
  }
  const Asked at_once = Ask(whole);
  if (!at_once.answer.empty()) CheckForm(at_once);
  return 0;
}
