// SIGTERM and SIGINT.
#pragma once

#include <chrono>
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

  // Whether it has come; then Wait returns at once.
  bool HasCome() const {
    return first_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

 private:
  std::future<int> first_;
};

}  // namespace tensord
