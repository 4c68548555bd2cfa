// Yardstick: sends ranges of a mapped file over plain sockets, with nothing in between.
#include <unistd.h>

#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "tests/bench/bench_main.h"
#include "tests/bench/raw_request.h"
#include "tests/bench/sockets.h"

int main(int argc, char** argv) {
  using namespace tensord::bench;
  std::string listen, path;
  SocketTuning tuning;
  CLI::App app("Sends ranges of a file over raw sockets");
  app.add_option("--listen", listen)->required();
  app.add_option("--file", path)->required();
  app.add_option("--send-buffer", tuning.send_buffer_bytes);
  app.add_option("--congestion", tuning.congestion);
  CLI11_PARSE(app, argc, argv);

  const auto file = MapFile(path);
  AcceptLoop(listen, tuning, [file](int fd) {
    std::thread([file, fd] {
      RawRequest request;
      while (ReceiveAll(fd, &request, sizeof(request)) && request.offset_bytes <= file.size() &&
             request.size_bytes <= file.size() - request.offset_bytes &&
             SendAll(fd, file.data() + request.offset_bytes, request.size_bytes)) {
      }
      close(fd);
    }).detach();
  });
}
