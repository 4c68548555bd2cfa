#include "tensord/cancellation.h"

#include <map>
#include <utility>

#include "client/cancellation_scope.h"
#include "src/mutex.h"

namespace tensord {

class CancellationState {
 public:
  void Cancel() {
    std::map<uint64_t, std::function<void()>> actions;
    {
      MutexLock lock(mutex_);
      cancelled_ = true;
      actions.swap(actions_);
    }
    for (const auto& [key, action] : actions) action();
  }

  bool IsCancelled() const {
    MutexLock lock(mutex_);
    return cancelled_;
  }

  // The key to remove it by; runs it instead when it is too late.
  uint64_t Add(std::function<void()> action) {
    {
      MutexLock lock(mutex_);
      if (!cancelled_) {
        actions_.emplace(++last_key_, std::move(action));
        return last_key_;
      }
    }
    action();
    return 0;
  }

  void Remove(uint64_t key) {
    MutexLock lock(mutex_);
    actions_.erase(key);
  }

 private:
  mutable Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_key_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::function<void()>> actions_ ABSL_GUARDED_BY(mutex_);
};

Cancellation::Cancellation() : state_(std::make_shared<CancellationState>()) {}
void Cancellation::Cancel() const { state_->Cancel(); }
bool Cancellation::IsCancelled() const { return state_->IsCancelled(); }

CancellationScope::CancellationScope(const Cancellation& cancellation, std::function<void()> action)
    : state_(cancellation.state_), key_(state_->Add(std::move(action))) {}
CancellationScope::~CancellationScope() { state_->Remove(key_); }

}  // namespace tensord
