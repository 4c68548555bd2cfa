// SIGTERM and SIGINT.
#pragma once

#include <chrono>
#include <future>

namespace tensord {

// Takes SIGTERM and SIGINT out of the hands of all threads: to be made before any other thread. The
// first one is what Wait waits for; the second ends the process at once with exit code 1. A process
// that has not ended `patience` after the first, because a file system does not answer, ends then
// with exit code 0. Lives as long as the process.
class StopSignal {
 public:
  explicit StopSignal(std::chrono::milliseconds patience);

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
