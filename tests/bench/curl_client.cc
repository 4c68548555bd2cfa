// Yardstick: range requests of libcurl to a web server, copied to where they belong.
#include <curl/curl.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "tests/bench/bench_main.h"

namespace tensord::bench {
namespace {

// The largest that libcurl allows; 16 KiB, its default, is a fifth slower.
constexpr long kReceiveBytes = 512 << 10;

struct Arriving {
  absl::Span<std::byte> destination;
  size_t filled = 0;
};

size_t Append(const char* data, size_t one, size_t size, void* argument) {
  auto* arriving = static_cast<Arriving*>(argument);
  size *= one;
  if (size > arriving->destination.size() - arriving->filled) return 0;
  std::memcpy(arriving->destination.data() + arriving->filled, data, size);
  arriving->filled += size;
  return size;
}

absl::Status Read(CURL* curl, uint64_t offset, absl::Span<std::byte> destination) {
  Arriving arriving{destination};
  const std::string range =
      std::to_string(offset) + "-" + std::to_string(offset + destination.size() - 1);
  curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &arriving);
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK) return absl::UnavailableError(curl_easy_strerror(code));
  if (arriving.filled != destination.size()) return absl::DataLossError("the answer is too short");
  return absl::OkStatus();
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  std::string url, unix_socket, authority;
  size_t connections = 1;
  LoopOptions loop;
  Subject subject;
  CLI::App app("Reads a range of a file with libcurl");
  app.add_option("--url", url)->required();
  app.add_option("--unix-socket", unix_socket);
  app.add_option("--ca-file", authority, "For https");
  app.add_option("--connections", connections)->check(CLI::PositiveNumber);
  AddLoopOptions(app, loop);
  AddSubjectOptions(app, subject);
  CLI11_PARSE(app, argc, argv);

  curl_global_init(CURL_GLOBAL_DEFAULT);
  std::vector<RangeReader> readers;
  for (size_t i = 0; i < connections; ++i) {
    CURL* curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    if (!unix_socket.empty()) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, unix_socket.c_str());
    if (!authority.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, authority.c_str());
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kReceiveBytes);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Append);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    readers.push_back(
        [curl, base = subject.offset_bytes](uint64_t offset, absl::Span<std::byte> destination) {
          return Read(curl, base + offset, destination);
        });
  }
  return RunTransfers(loop, subject, std::move(readers));
}
