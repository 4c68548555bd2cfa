// What a call does about its cancellation.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tensord/cancellation.h"

namespace tensord {

// While it lives, `action` runs when `cancellation` is cancelled: on the cancelling thread, at most
// once, or at once where that has happened already. It may still be running, on its own copy, when
// the scope ends, so it must own what it uses.
class CancellationScope {
 public:
  CancellationScope(const Cancellation& cancellation, std::function<void()> action);
  ~CancellationScope();
  CancellationScope(const CancellationScope&) = delete;
  CancellationScope& operator=(const CancellationScope&) = delete;

 private:
  std::shared_ptr<CancellationState> state_;
  uint64_t key_ = 0;  // Of the action in the state.
};

}  // namespace tensord
