// Lets streams take turns at the work that costs memory or time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/active_streams.h"
#include "server/buffer_budget.h"
#include "src/mutex.h"

namespace tensord {

// Runs at most some pieces of work at once, so that a thread of gRPC's is always left for messages
// that cost nothing. Who has to wait, for that or for memory, waits in its peer's line; peers take
// turns, so that a peer's many streams delay its own, not others'. Thread-safe.
class TurnQueue {
 public:
  // What work gets when it may run. The next one may once this is gone, which is to be before the
  // message is written: that takes as long again.
  class Turn {
   public:
    Turn() = default;  // Of work that needed none.
    Turn(Turn&& other) noexcept
        : buffer(std::move(other.buffer)), queue_(std::exchange(other.queue_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() { End(); }

    void End() {
      if (queue_ != nullptr) std::exchange(queue_, nullptr)->Leave();
    }

    // Empty if none was asked for or the work is cancelled. Errors: OUT_OF_BUFFERS.
    absl::StatusOr<BufferBudget::Buffer> buffer = BufferBudget::Buffer();

    // Of work that runs elsewhere, with memory only.
    explicit Turn(absl::StatusOr<BufferBudget::Buffer> b) : Turn(nullptr, std::move(b)) {}

   private:
    friend class TurnQueue;
    Turn(TurnQueue* queue, absl::StatusOr<BufferBudget::Buffer> b)
        : buffer(std::move(b)), queue_(queue) {}

    TurnQueue* queue_ = nullptr;
  };

  // One piece of work, short: a message.
  struct Work {
    const void* stream = nullptr;  // Names it; a stream has at most one.
    PeerId peer = 0;
    // See BufferBudget::Take; 0: needs none.
    size_t wanted_bytes = 0;
    size_t least_bytes = 0;
    // Else it fails with OUT_OF_BUFFERS where it would have to wait for memory.
    bool may_wait = true;
    // Once true it need not wait for anything. Outlives the work.
    const std::atomic<bool>* cancelled = nullptr;
    std::function<void(Turn)> run;
  };

  // At most `max_running` > 0 pieces run at once.
  TurnQueue(std::shared_ptr<BufferBudget> budget, size_t max_running);
  // No work may be waiting or running.
  ~TurnQueue();
  TurnQueue(const TurnQueue&) = delete;
  TurnQueue& operator=(const TurnQueue&) = delete;

  // Runs the work, where it can at once, in this thread, else later in another.
  void Enter(Work work);

  // The memory that the work needs, if nobody waits for any and it is there.
  std::optional<BufferBudget::Buffer> TryTake(const Work& work);

  // To be called after `cancelled` was set: true if the work was waiting and now never runs.
  bool Withdraw(PeerId peer, const void* stream);

  size_t num_waiting() const;

 private:
  struct Line {
    PeerId peer = 0;
    std::deque<Work> works;
  };
  // Work whose turn has come.
  struct Ready {
    Work work;
    Turn turn;
  };

  // Takes the memory that the work needs; nullopt when it has to wait.
  std::optional<absl::StatusOr<BufferBudget::Buffer>> Equip(const Work& work);
  void Append(Work work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Removes the next work that can run, if any may, and counts it as running.
  std::optional<Ready> Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();
  void Leave();

  const std::shared_ptr<BufferBudget> budget_;
  const size_t max_running_;
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::list<Line> lines_ ABSL_GUARDED_BY(mutex_);  // None is empty; whose turn is next comes first.
  size_t num_running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace tensord
