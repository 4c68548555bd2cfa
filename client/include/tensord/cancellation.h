// Ends calls from another thread.
#pragma once

#include <memory>

namespace tensord {

class CancellationState;

// A handle; copies share one state, which lives as long as any of them. Thread-safe.
//
//   tensord::Cancellation cancellation;
//   tensord::CallOptions call;
//   call.cancellation = cancellation;
//   ... client->GetTensor("gpt2", "wte.weight", call) ...   // here
//   cancellation.Cancel();                                  // on any other thread
class Cancellation {
 public:
  Cancellation();

  // Calls that hold this handle end with CANCELLED as soon as they notice, typically within
  // milliseconds; calls begun later end at once. May be called often, and from callbacks. A call
  // that has its result already still returns it.
  void Cancel() const;

  bool IsCancelled() const;

 private:
  friend class CancellationScope;
  std::shared_ptr<CancellationState> state_;
};

}  // namespace tensord
