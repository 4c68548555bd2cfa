#include "server/turn_queue.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "src/error.h"

namespace tensord {
namespace {

absl::Status OutOfBuffers() {
  return MakeError(ErrorReason::kOutOfBuffers,
                   "the memory for messages is in use by streams whose clients read slowly",
                   {{"retry_ms", "1000"}});
}

}  // namespace

TurnQueue::TurnQueue(std::shared_ptr<BufferBudget> budget, size_t max_running)
    : budget_(std::move(budget)), max_running_(max_running) {
  assert(max_running > 0);
  budget_->SetListener([this] {
    const MutexLock lock(mutex_);
    if (!lines_.empty()) changed_.notify_one();
  });
  for (size_t i = 0; i < max_running; ++i) threads_.emplace_back([this] { Run(); });
}

TurnQueue::~TurnQueue() {
  budget_->SetListener(nullptr);
  {
    const MutexLock lock(mutex_);
    assert(lines_.empty());
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void TurnQueue::Enter(Work work) {
  std::optional<absl::StatusOr<BufferBudget::Buffer>> buffer;
  {
    const MutexLock lock(mutex_);
    const bool is_free = lines_.empty() && num_running_ < max_running_;
    if (is_free || *work.cancelled) buffer = Equip(work);
    if (!buffer) {
      Append(std::move(work));
      changed_.notify_one();
      return;
    }
    ++num_running_;
  }
  work.run(Turn(this, *std::move(buffer)));
}

std::optional<BufferBudget::Buffer> TurnQueue::TryTake(const Work& work) {
  if (work.wanted_bytes == 0) return BufferBudget::Buffer();
  const MutexLock lock(mutex_);
  if (!lines_.empty()) return std::nullopt;
  return budget_->Take(work.peer, work.wanted_bytes, work.least_bytes);
}

bool TurnQueue::Withdraw(PeerId peer, const void* stream) {
  std::optional<Work> withdrawn;  // Destroyed without the lock.
  const MutexLock lock(mutex_);
  const auto line =
      std::find_if(lines_.begin(), lines_.end(), [peer](const Line& l) { return l.peer == peer; });
  if (line == lines_.end()) return false;
  const auto work = std::find_if(line->works.begin(), line->works.end(),
                                 [stream](const Work& w) { return w.stream == stream; });
  if (work == line->works.end()) return false;
  withdrawn = std::move(*work);
  line->works.erase(work);
  if (line->works.empty()) lines_.erase(line);
  return true;
}

size_t TurnQueue::num_waiting() const {
  const MutexLock lock(mutex_);
  size_t count = 0;
  for (const Line& line : lines_) count += line.works.size();
  return count;
}

std::optional<absl::StatusOr<BufferBudget::Buffer>> TurnQueue::Equip(const Work& work) {
  if (work.wanted_bytes == 0 || *work.cancelled) return BufferBudget::Buffer();
  std::optional<BufferBudget::Buffer> buffer =
      budget_->Take(work.peer, work.wanted_bytes, work.least_bytes);
  if (buffer) return *std::move(buffer);
  if (work.may_wait) return std::nullopt;
  return OutOfBuffers();
}

void TurnQueue::Append(Work work) {
  auto line = std::find_if(lines_.begin(), lines_.end(),
                           [&work](const Line& l) { return l.peer == work.peer; });
  if (line == lines_.end()) line = lines_.insert(lines_.end(), Line{work.peer, {}});
  line->works.push_back(std::move(work));
}

std::optional<TurnQueue::Ready> TurnQueue::Next() {
  if (num_running_ >= max_running_) return std::nullopt;
  for (auto line = lines_.begin(); line != lines_.end(); ++line) {
    auto buffer = Equip(line->works.front());
    if (!buffer) continue;
    ++num_running_;
    Ready ready{std::move(line->works.front()), Turn(this, *std::move(buffer))};
    line->works.pop_front();
    if (line->works.empty()) {
      lines_.erase(line);
    } else {
      lines_.splice(lines_.end(), lines_, line);
    }
    return ready;
  }
  return std::nullopt;
}

void TurnQueue::Run() {
  for (;;) {
    std::optional<Ready> ready;
    {
      const MutexLock lock(mutex_);
      for (;;) {
        if (stopping_) return;
        if (auto next = Next()) {
          ready.emplace(*std::move(next));
          break;
        }
        changed_.wait(mutex_);
      }
    }
    ready->work.run(std::move(ready->turn));
  }
}

void TurnQueue::Leave() {
  const MutexLock lock(mutex_);
  --num_running_;
  if (!lines_.empty()) changed_.notify_one();
}

}  // namespace tensord
