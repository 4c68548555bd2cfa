// What a client holds, and how its calls begin.
#pragma once

#include <memory>
#include <utility>

#include "client/call_threads.h"
#include "client/connections.h"
#include "client/restarts.h"
#include "src/request_id.h"
#include "tensord/client.h"

namespace tensord {

// Thread-safe.
class Client::Impl {
 public:
  explicit Impl(std::unique_ptr<Connections> connections)
      : connections_(std::move(connections)), threads_(connections_->options().num_async_threads) {}

  // Cancels asynchronous calls; then the threads' destructor waits for them.
  ~Impl() { closing_.Cancel(); }

  // Runs `work(connections, call)` on this thread and returns its result.
  template <typename Work>
  auto Run(const CallOptions& options, const Work& work) const {
    return Finish(options.report, Begin(options), work);
  }

  // Runs it on another thread and hands its result to `done`.
  template <typename Work, typename Done>
  void Start(const CallOptions& options, Work work, Done done) {
    Call call = Begin(options);
    call.cancellations.push_back(closing_);
    threads_.Add([this, report = options.report, call = std::move(call), work = std::move(work),
                  done = std::move(done)]() mutable { done(Finish(report, call, work)); });
  }

 private:
  // Fills in defaults. The deadline counts from now, also where the call has to wait for a thread.
  Call Begin(const CallOptions& options) const {
    Call call;
    call.deadline =
        options.deadline.value_or(absl::Now() + connections_->options().default_timeout);
    call.connect_timeout =
        options.connect_timeout.value_or(connections_->options().connect_timeout);
    call.version = options.version;
    call.request_id = IsRequestId(options.request_id) ? options.request_id : MakeRequestId();
    call.restart_on_version_change = options.restart_on_version_change;
    if (options.cancellation) call.cancellations.push_back(*options.cancellation);
    return call;
  }

  template <typename Work>
  auto Finish(CallReport* report, const Call& call, const Work& work) const {
    auto result = WithRestarts(call, [&] { return work(*connections_, call); });
    if (report != nullptr) {
      *report = {call.counters->bytes_received, call.counters->num_retries,
                 call.counters->num_restarts};
    }
    return result;
  }

  const std::unique_ptr<Connections> connections_;
  const Cancellation closing_;
  CallThreads threads_;  // Last: its work uses the others until it has ended.
};

}  // namespace tensord
