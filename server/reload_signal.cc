#include "server/reload_signal.h"

#include <signal.h>

#include <thread>
#include <utility>

#include "src/mutex.h"

namespace tensord {

struct ReloadSignal::Shared {
  Mutex mutex;
  std::function<void()> handler ABSL_GUARDED_BY(mutex);
};

ReloadSignal::ReloadSignal() : shared_(std::make_shared<Shared>()) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, shared = shared_] {
    while (true) {
      int signal = 0;
      sigwait(&signals, &signal);
      const MutexLock lock(shared->mutex);
      if (shared->handler) shared->handler();
    }
  }).detach();
}

void ReloadSignal::Handle(std::function<void()> handler) {
  const MutexLock lock(shared_->mutex);
  shared_->handler = std::move(handler);
}

}  // namespace tensord
