// A rate with a burst.
#pragma once

#include <algorithm>
#include <chrono>

namespace tensord {

// Fills at a rate up to its burst, and is full at first. Not thread-safe.
class TokenBucket {
 public:
  using Clock = std::chrono::steady_clock;

  TokenBucket(double burst, double per_second, Clock::time_point now)
      : burst_(burst), per_second_(per_second), level_(burst), since_(now) {}

  // Takes `count`, whether they are there or not. False when they were not.
  bool Take(double count, Clock::time_point now) {
    const std::chrono::duration<double> passed = now - since_;
    since_ = std::max(since_, now);
    Add(std::max(0.0, passed.count()) * per_second_);
    level_ -= count;
    return level_ >= 0;
  }

  // Fills by `count`. True when what was taken so far is covered.
  bool Add(double count) {
    level_ = std::min(burst_, level_ + count);
    return level_ >= 0;
  }

  // Takes whatever is left, and what is owed is forgiven.
  void Empty() { level_ = 0; }

 private:
  const double burst_;
  const double per_second_;
  double level_;
  Clock::time_point since_;
};

}  // namespace tensord
