// What a client holds, and how its calls begin.
#pragma once

#include <memory>
#include <utility>

#include "client/call_threads.h"
#include "client/connection.h"
#include "tensord/client.h"

namespace tensord {

// Thread-safe.
class Client::Impl {
 public:
  explicit Impl(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)), threads_(connection_->options().num_async_threads) {}

  // Cancels asynchronous calls; then the threads' destructor waits for them.
  ~Impl() { closing_.Cancel(); }

  const Connection& connection() const { return *connection_; }

  // Fills in defaults. The deadline counts from now, also where the call has to wait for a thread.
  Call Begin(const CallOptions& options) const {
    Call call;
    call.deadline = options.deadline.value_or(absl::Now() + connection_->options().default_timeout);
    call.version = options.version;
    if (options.cancellation) call.cancellations.push_back(*options.cancellation);
    return call;
  }

  // Runs `work(connection, call)` on another thread and hands its result to `done`.
  template <typename Work, typename Done>
  void Start(const CallOptions& options, Work work, Done done) {
    Call call = Begin(options);
    call.cancellations.push_back(closing_);
    threads_.Add([this, call = std::move(call), work = std::move(work),
                  done = std::move(done)]() mutable { done(work(*connection_, call)); });
  }

 private:
  const std::unique_ptr<Connection> connection_;
  const Cancellation closing_;
  CallThreads threads_;  // Last: its work uses the others until it has ended.
};

}  // namespace tensord
