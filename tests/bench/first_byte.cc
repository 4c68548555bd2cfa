// Ours: how long a new process needs from exec to the last byte of a small tensor. Starts itself
// anew each time.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "tests/bench/process_usage.h"
#include "tests/bench/tensord_options.h"

extern char** environ;

namespace tensord::bench {
namespace {

// The process that is measured. _Exit: what comes after the bytes does not count.
[[noreturn]] void BeChild(const TensordOptions& options) {
  const auto client = OrDie(Client::Connect(options.address, options.client));
  OrDie(client.GetTensor(options.model, options.tensor).status());
  std::_Exit(0);
}

void RunChild(char** argv, const std::string& flag) {
  std::vector<char*> arguments;
  for (char** at = argv; *at != nullptr; ++at) arguments.push_back(*at);
  arguments.push_back(const_cast<char*>(flag.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  int status = 0;
  if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) != 0) {
    Die("posix_spawn fails");
  }
  if (waitpid(child, &status, 0) != child || status != 0) Die("the child fails");
}

}  // namespace
}  // namespace tensord::bench

int main(int argc, char** argv) {
  using namespace tensord::bench;
  TensordOptions options;
  LoopOptions loop;
  bool child = false;
  CLI::App app("Measures from exec to first byte");
  AddTensordOptions(app, options);
  AddLoopOptions(app, loop);
  app.add_flag("--child", child);
  CLI11_PARSE(app, argc, argv);
  if (child) BeChild(options);
  std::cout << Measure(loop, 0, 1, [&] { RunChild(argv, "--child"); }).dump() << std::endl;
}
