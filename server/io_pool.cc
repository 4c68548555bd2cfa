#include "server/io_pool.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace tensord {

size_t IoPool::DefaultThreads() {
  return std::max(kMinThreads, size_t{2} * std::thread::hardware_concurrency());
}

IoPool::IoPool(size_t num_threads) : max_running_per_device_(num_threads / 2) {
  assert(num_threads >= 2);
  for (size_t i = 0; i < num_threads; ++i) threads_.emplace_back([this] { Run(); });
}

IoPool::~IoPool() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool IoPool::Post(Work work) {
  {
    const MutexLock lock(mutex_);
    if (work.cancelled != nullptr && *work.cancelled) return false;
    if (work.owner != nullptr) waiting_.emplace(work.owner, work.place);
    ++num_waiting_;
    Device& device = DeviceOf(work.place.device);
    const uint64_t inode = work.place.inode;
    File& file = device.files[inode];
    if (!file.is_running && file.works.empty()) device.ready.push_back(inode);
    file.works.push_back(std::move(work));
  }
  changed_.notify_one();
  return true;
}

bool IoPool::Withdraw(const void* owner) {
  std::list<Work> withdrawn;  // Destroyed without the lock.
  const MutexLock lock(mutex_);
  const auto waiting = waiting_.find(owner);
  if (waiting == waiting_.end()) return false;
  const FilePlace place = waiting->second;
  waiting_.erase(waiting);
  --num_waiting_;
  Device& device = DeviceOf(place.device);
  File& file = device.files[place.inode];
  const auto work = std::find_if(file.works.begin(), file.works.end(),
                                 [owner](const Work& w) { return w.owner == owner; });
  withdrawn.splice(withdrawn.begin(), file.works, work);
  if (file.works.empty() && !file.is_running) {
    device.ready.remove(place.inode);
    device.files.erase(place.inode);
    ForgetIdleDevices();
  }
  return true;
}

size_t IoPool::num_waiting() const {
  const MutexLock lock(mutex_);
  return num_waiting_;
}

// A list, because devices are few: a store has one, seldom more.
IoPool::Device& IoPool::DeviceOf(uint64_t id) {
  const auto found = std::find_if(devices_.begin(), devices_.end(),
                                  [id](const Device& device) { return device.id == id; });
  if (found != devices_.end()) return *found;
  devices_.emplace_back().id = id;
  return devices_.back();
}

void IoPool::ForgetIdleDevices() {
  devices_.remove_if([](const Device& device) { return device.files.empty(); });
}

std::optional<IoPool::Work> IoPool::Next() {
  const auto device = std::find_if(devices_.begin(), devices_.end(), [this](const Device& d) {
    return !d.ready.empty() && d.num_running < max_running_per_device_;
  });
  if (device == devices_.end()) return std::nullopt;
  devices_.splice(devices_.end(), devices_, device);
  File& file = device->files[device->ready.front()];
  device->ready.pop_front();
  Work work = std::move(file.works.front());
  file.works.pop_front();
  file.is_running = true;
  ++device->num_running;
  --num_waiting_;
  if (work.owner != nullptr) waiting_.erase(work.owner);
  return work;
}

void IoPool::Finished(const FilePlace& place) {
  Device& device = DeviceOf(place.device);
  --device.num_running;
  File& file = device.files[place.inode];
  file.is_running = false;
  if (file.works.empty()) {
    device.files.erase(place.inode);
    ForgetIdleDevices();
  } else {
    device.ready.push_back(place.inode);
  }
}

void IoPool::Run() {
  for (;;) {
    std::optional<Work> work;
    {
      const MutexLock lock(mutex_);
      while (!(work = Next())) {
        if (stopping_) return;
        changed_.wait(mutex_);
      }
    }
    const FilePlace place = work->place;
    work->run();
    work.reset();
    {
      const MutexLock lock(mutex_);
      Finished(place);
    }
    // This thread goes on with another device perhaps, and the place that it has left is free.
    changed_.notify_one();
  }
}

}  // namespace tensord
