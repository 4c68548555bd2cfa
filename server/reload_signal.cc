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
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // The thread takes no other signal: those have their own takers.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([shared = shared_] {
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    while (true) {
      int signal = 0;
      sigwait(&hangup, &signal);
      const MutexLock lock(shared->mutex);
      if (shared->handler) shared->handler();
    }
  }).detach();
  sigaddset(&before, SIGHUP);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ReloadSignal::Handle(std::function<void()> handler) {
  const MutexLock lock(shared_->mutex);
  shared_->handler = std::move(handler);
}

}  // namespace tensord
