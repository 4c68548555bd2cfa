#include "server/polling_threads.h"

#include <grpc/support/cpu.h>

#include <algorithm>
#include <utility>

namespace tensord {
namespace {

using std::chrono::milliseconds;

// A thread is parked when it was not needed for so long: calls that follow one another closely
// should not wake and park one each time.
constexpr milliseconds kSpare(100);
// A parked thread looks so often whether calls still move; less often where none runs.
constexpr milliseconds kLook(20);
constexpr milliseconds kLookIdle(250);

// Of all servers in this process, which share gRPC's threads.
std::atomic<size_t> parked_in_process{0};

}  // namespace

size_t PollingThreads::OfGrpc() { return std::clamp<size_t>(gpr_cpu_num_cores() / 2, 2, 16); }

PollingThreads::PollingThreads(size_t num_threads, Post post)
    : num_threads_(num_threads),
      post_(std::move(post)),
      num_polling_(num_threads),
      needed_at_((Clock::now() - kSpare).time_since_epoch().count()) {}

size_t PollingThreads::num_parked() const {
  const MutexLock lock(mutex_);
  return num_parked_;
}

void PollingThreads::CallBegan(const CallRecord&) {
  ++num_calls_;
  Balance();
}

void PollingThreads::BytesSent(const CallRecord&, uint64_t) { Balance(); }

void PollingThreads::CallEnded(const CallRecord&, const absl::Status&) {
  --num_calls_;
  Balance();
}

void PollingThreads::Balance() {
  ++progress_;
  const size_t polling = num_polling_;
  const size_t calls = num_calls_;
  if (calls > polling && polling < num_threads_) {
    Unpark();
  } else if (polling > 1) {
    const auto now = Clock::now().time_since_epoch();
    if (calls >= polling) {
      needed_at_ = now.count();
    } else if (now - Clock::duration(needed_at_) >= kSpare) {
      ParkOne();
    }
  }
}

void PollingThreads::Crowded() {
  needed_at_ = Clock::now().time_since_epoch().count();
  if (num_polling_ < num_threads_) Unpark();
}

void PollingThreads::Unpark() {
  {
    const MutexLock lock(mutex_);
    if (num_called_ == num_parked_) return;
    ++num_called_;
    ++num_polling_;
    needed_at_ = Clock::now().time_since_epoch().count();
  }
  changed_.notify_one();
}

void PollingThreads::ParkOne() {
  {
    const MutexLock lock(mutex_);
    if (released_ || num_polling_ <= 1) return;
    --num_polling_;
    ++num_parked_;
  }
  post_([this] { StayParked(); });
}

// Until this thread is wanted back, all are let go, or calls run that do not move.
bool PollingThreads::WaitsOn(uint64_t* progress) {
  if (released_ || num_called_ > 0) return false;
  const milliseconds look = num_calls_ > 0 ? kLook : kLookIdle;
  if (changed_.wait_for(mutex_, look) == std::cv_status::no_timeout) return true;
  return std::exchange(*progress, progress_) != *progress || num_calls_ == 0;
}

void PollingThreads::StayParked() {
  const bool others_poll = ++parked_in_process < num_threads_;
  {
    const MutexLock lock(mutex_);
    uint64_t progress = progress_;
    while (others_poll && WaitsOn(&progress)) {
    }
    if (num_called_ > 0) {
      --num_called_;
    } else {
      ++num_polling_;
      needed_at_ = Clock::now().time_since_epoch().count();
    }
    --parked_in_process;
    --num_parked_;
    // Under the lock: whoever waits for the last one may destroy this.
    changed_.notify_all();
  }
}

void PollingThreads::Release() {
  const MutexLock lock(mutex_);
  released_ = true;
  changed_.notify_all();
  while (num_parked_ > 0) changed_.wait(mutex_);
}

}  // namespace tensord
