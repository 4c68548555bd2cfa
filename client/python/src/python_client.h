// The client library's Client for Python.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "client/python/src/arguments.h"
#include "client/python/src/errors.h"
#include "client/python/src/exit_gate.h"
#include "client/python/src/sessions.h"

namespace tensord::python {

// Whether Python delivers signals to this thread.
bool IsMainThread();

// Asks the interpreter for signals; the exception of a handler is returned, e.g. KeyboardInterrupt.
// Takes the GIL. Null: none is pending.
std::unique_ptr<nanobind::python_error> PendingSignal();

// Thread-safe. Calls release the GIL. On the main thread they end early, with the exception of the
// signal's handler, when one is pending.
class PythonClient {
 public:
  explicit PythonClient(std::unique_ptr<SessionSlot> slot) : slot_(std::move(slot)) {}

  // Runs `work(const Client&)`, whose result has a `status()` or is one, without the GIL.
  template <typename Work>
  auto Run(const Cancellation& cancellation, const Work& work) const {
    const Lease lease = Unwrap(slot_->Acquire());
    if (!IsMainThread()) {
      const OutsideGate outside;
      return work(std::as_const(lease->client));
    }
    return RunInterruptibly(*lease, cancellation, work);
  }

  void Close() { slot_->Close(); }

 private:
  template <typename Work>
  static auto RunInterruptibly(Session& session, const Cancellation& cancellation,
                               const Work& work);

  const std::unique_ptr<SessionSlot> slot_;
};

// What every function of it needs.
using CallGuard = nanobind::call_guard<InsideGate>;

void BindClient(nanobind::module_& module);
void BindReading(nanobind::class_<PythonClient>& client);

// How soon a call on the main thread notices Ctrl-C.
inline constexpr auto kSignalPoll = std::chrono::milliseconds(50);

template <typename Work>
auto PythonClient::RunInterruptibly(Session& session, const Cancellation& cancellation,
                                    const Work& work) {
  std::optional<decltype(work(std::as_const(session.client)))> result;
  std::unique_ptr<nanobind::python_error> signal;
  std::mutex mutex;
  std::condition_variable done;
  session.threads.Add([&] {
    auto value = work(std::as_const(session.client));
    const std::lock_guard lock(mutex);
    result.emplace(std::move(value));
    done.notify_one();  // Under the lock: afterwards the waiting thread may be gone.
  });
  {
    const OutsideGate outside;
    std::unique_lock lock(mutex);
    while (!done.wait_for(lock, kSignalPoll, [&] { return result.has_value(); })) {
      if (signal) continue;
      lock.unlock();
      if ((signal = PendingSignal())) cancellation.Cancel();
      lock.lock();
    }
  }
  if (signal) throw std::move(*signal);
  return *std::move(result);
}

}  // namespace tensord::python
