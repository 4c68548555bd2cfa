// Hears from the kernel when directories of a store change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "src/owned_fd.h"

namespace tensord {

// Each watch takes about 1 KiB of the kernel's memory.
inline constexpr size_t kMaxWatches = 16'384;

// inotify on the directories that the last scan looked into. Changes that other hosts make to a
// network file system are not heard. For one thread.
class StoreWatch {
 public:
  // RESOURCE_EXHAUSTED when the system has no more inotify instances.
  static absl::StatusOr<std::unique_ptr<StoreWatch>> Create(size_t max_watches = kMaxWatches);

  // Readable while there are events.
  int fd() const { return fd_.get(); }

  // A scan names its directories between these two, each before it lists it; those that it does not
  // name are no longer watched.
  void BeginScan();
  void Add(const std::string& host_path);
  void EndScan();

  // Takes all events that wait; whether one tells that a scan may find something else than before.
  bool TakeEvents();

  // Whether all directories of the last scan are watched; not beyond a limit, ours or the system's.
  bool is_complete() const { return is_complete_; }
  size_t num_watches() const { return watches_.size(); }

 private:
  struct Watch {
    int descriptor = -1;
    uint64_t scan = 0;      // The last one that named it.
    bool is_stale = false;  // Its path may lead to another directory by now.
  };

  StoreWatch(OwnedFd fd, size_t max_watches) : fd_(std::move(fd)), max_watches_(max_watches) {}

  void Forget(int descriptor);
  void MarkAllStale();

  const OwnedFd fd_;
  const size_t max_watches_;
  uint64_t scan_ = 0;
  bool is_complete_ = true;
  absl::flat_hash_map<std::string, Watch> watches_;  // By path.
  absl::flat_hash_map<int, std::string> paths_;      // By descriptor.
};

}  // namespace tensord
