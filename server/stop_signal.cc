#include "server/stop_signal.h"

#include <signal.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "server/log.h"

namespace tensord {
namespace {

// Whether one of `signals` comes within that time.
bool WaitFor(const sigset_t& signals, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (true) {
    const std::chrono::nanoseconds left = end - std::chrono::steady_clock::now();
    if (left <= left.zero()) return false;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec timeout = {seconds.count(), (left - seconds).count()};
    if (sigtimedwait(&signals, nullptr, &timeout) > 0) return true;
  }
}

}  // namespace

StopSignal::StopSignal(std::chrono::milliseconds patience) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::promise<int> promise;
  first_ = promise.get_future();
  std::thread([signals, patience, promise = std::move(promise)]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    promise.set_value(signal);
    const bool is_again = WaitFor(signals, patience);
    if (is_again) LogWarning("a second signal: ending at once", {});
    if (!is_again) LogWarning("a file system does not answer; ending without it", {});
    _exit(is_again ? 1 : 0);
  }).detach();
}

}  // namespace tensord
