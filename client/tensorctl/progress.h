// A line on a terminal that says how far a transfer is.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace tensord::ctl {

// "model.safetensors  45%  250.0 MiB of 548.1 MiB  110.2 MiB/s". `label` is escaped already.
// Of what is done, `begin_bytes` were before the `seconds` began.
std::string ProgressText(absl::string_view label, uint64_t done_bytes, uint64_t total_bytes,
                         double seconds, uint64_t begin_bytes = 0);

// Redraws one line on standard error at most ten times a second; silent when `shown` is false. The
// destructor removes the line. Not thread-safe.
class Progress {
 public:
  // `begin_bytes` were there before: they count as done, but not for the rate.
  Progress(bool shown, std::string label, uint64_t total_bytes, uint64_t begin_bytes = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Update(uint64_t done_bytes);

 private:
  using Clock = std::chrono::steady_clock;

  const bool shown_;
  const std::string label_;
  const uint64_t total_bytes_;
  const uint64_t begin_bytes_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point next_draw_ = begin_;
};

}  // namespace tensord::ctl
