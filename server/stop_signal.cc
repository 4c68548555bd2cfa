#include "server/stop_signal.h"

#include <signal.h>
#include <unistd.h>

#include <thread>
#include <utility>

namespace tensord {

StopSignal::StopSignal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::promise<int> promise;
  first_ = promise.get_future();
  std::thread([signals, promise = std::move(promise)]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    promise.set_value(signal);
    sigwait(&signals, &signal);
    _exit(1);
  }).detach();
}

}  // namespace tensord
