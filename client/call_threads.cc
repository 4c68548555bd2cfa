#include "client/call_threads.h"

#include <utility>

namespace tensord {

CallThreads::~CallThreads() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  // Work that still runs may add more and so start a thread, hence no iterator.
  while (true) {
    std::thread thread;
    {
      MutexLock lock(mutex_);
      if (threads_.empty()) return;
      thread = std::move(threads_.back());
      threads_.pop_back();
    }
    thread.join();
  }
}

void CallThreads::Add(absl::AnyInvocable<void()> work) {
  {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(work));
    if (queue_.size() > num_idle_ && threads_.size() < max_threads_) {
      threads_.emplace_back([this] { Run(); });
    }
  }
  changed_.notify_one();
}

void CallThreads::Run() {
  while (true) {
    absl::AnyInvocable<void()> work;
    {
      MutexLock lock(mutex_);
      ++num_idle_;
      while (queue_.empty() && !stopping_) changed_.wait(mutex_);
      --num_idle_;
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace tensord
