#include "server/ticker.h"

#include <utility>

namespace tensord {

Ticker::Ticker(std::chrono::milliseconds interval, std::function<void()> on_tick)
    : interval_(interval), on_tick_(std::move(on_tick)), thread_([this] {
        while (WaitForTick()) on_tick_();
      }) {}

Ticker::~Ticker() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

bool Ticker::WaitForTick() {
  const auto next = std::chrono::steady_clock::now() + interval_;
  const MutexLock lock(mutex_);
  while (!stopping_ && changed_.wait_until(mutex_, next) == std::cv_status::no_timeout) {
  }
  return !stopping_;
}

}  // namespace tensord
