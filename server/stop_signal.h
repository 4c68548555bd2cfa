// SIGTERM and SIGINT.
#pragma once

#include <future>

namespace tensord {

// Takes SIGTERM and SIGINT out of the hands of all threads: to be made before any other thread. The
// first one is what Wait waits for; the second ends the process at once with exit code 1. Lives as
// long as the process.
class StopSignal {
 public:
  StopSignal();

  // Returns the first signal's number, once it has come.
  int Wait() { return first_.get(); }

 private:
  std::future<int> first_;
};

}  // namespace tensord
