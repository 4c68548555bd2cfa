// Threads that wait for disks and other machines, so that gRPC's never do.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "src/file_place.h"
#include "src/mutex.h"

namespace tensord {

// Runs work that may wait for a file. One file occupies one thread at most and one device half of
// them, so that whatever hangs, the others go on. A file's works run in order; devices take turns,
// and so do the files of one. Thread-safe.
class IoPool {
 public:
  // Threads of a server that is not told otherwise: twice as many as processors, because they wait
  // more than they work, and enough for two devices on the smallest machine.
  static size_t DefaultThreads();
  static constexpr size_t kMinThreads = 4;

  struct Work {
    FilePlace place;              // Where it waits.
    const void* owner = nullptr;  // Names it for Withdraw; null: nobody will.
    // Once true, it need not run. Outlives the work; null: never.
    const std::atomic<bool>* cancelled = nullptr;
    std::function<void()> run;
  };

  explicit IoPool(size_t num_threads);  // At least 2.
  // Waits until all work has run.
  ~IoPool();
  IoPool(const IoPool&) = delete;
  IoPool& operator=(const IoPool&) = delete;

  // False, and it never runs, when the work is cancelled already.
  bool Post(Work work);

  // To be called after `cancelled` was set: true if the owner's work was waiting and now never
  // runs. An owner has at most one.
  bool Withdraw(const void* owner);

  size_t num_waiting() const;

 private:
  struct File {
    std::list<Work> works;
    bool is_running = false;  // Else it is in its device's `ready`.
  };
  struct Device {
    uint64_t id = 0;
    std::map<uint64_t, File> files;  // By inode: those that wait or run.
    std::list<uint64_t> ready;       // Those that wait and may run; whose turn is next comes first.
    size_t num_running = 0;
  };

  Device& DeviceOf(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetIdleDevices() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Removes the next work that may run, and counts it as running.
  std::optional<Work> Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Finished(const FilePlace& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();

  const size_t max_running_per_device_;
  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::list<Device> devices_ ABSL_GUARDED_BY(mutex_);  // Whose turn is next comes first.
  std::map<const void*, FilePlace> waiting_ ABSL_GUARDED_BY(mutex_);  // Of owners.
  size_t num_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace tensord
