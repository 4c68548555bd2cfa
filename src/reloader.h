// Keeps the live catalog as the stores are.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "src/catalog.h"
#include "src/live_catalog.h"
#include "src/owned_fd.h"
#include "src/store_watch.h"

namespace tensord {

struct ReloaderOptions {
  // From the end of a scan to the next one though nothing is heard; 0: none. Scans that take long
  // come more seldom, so that they cost a twentieth of one processor at most.
  std::chrono::milliseconds rescan_interval = std::chrono::seconds(10);
  size_t max_watches = kMaxWatches;
};

// What one scan brought.
struct ReloadReport {
  // Why a store could not be looked at; the catalog stays as it was.
  absl::Status status;
  std::shared_ptr<const Catalog> previous;  // Null at the first scan.
  std::shared_ptr<const Catalog> current;   // The same as `previous` when nothing has changed.
  std::chrono::steady_clock::duration took{};
  // Not all directories could be watched: some changes are found by the next scan only.
  bool is_watch_complete = true;
};

// For whoever counts. Read while the reloader runs.
struct ReloadCounters {
  std::atomic<uint64_t> num_scans = 0;
  std::atomic<uint64_t> num_failed_scans = 0;
  std::atomic<uint64_t> num_swaps = 0;
  std::atomic<int64_t> last_success_unix_ms = 0;
  std::atomic<int64_t> last_scan_us = 0;  // How long it took.
};

// One thread of low priority that reloads when inotify tells of changes, once they pause or after a
// second; when a rescan is due; two seconds after it met a young file; and when it is asked to.
class Reloader {
 public:
  using Observer = std::function<void(const ReloadReport&)>;

  // Loads the first catalog on the caller's thread, makes it `live` and goes on in a thread of its
  // own, until the object's end. `observer` is called after each scan, by whoever scanned. `live`
  // must outlive the object; its RequestRescan leads here meanwhile. Errors as Catalog::Load.
  static absl::StatusOr<std::unique_ptr<Reloader>> Start(const std::vector<StoreOptions>& stores,
                                                         const CatalogOptions& catalog_options,
                                                         const ReloaderOptions& options,
                                                         LiveCatalog* live, Observer observer);

  // Waits for a scan that is under way.
  ~Reloader();

  // Scans at once; after a scan that was costly, once it has had its share: however often it is
  // called, scans take a fifth of one processor at most. From any thread, a signal handler too.
  void ReloadNow() { Wake(kNow); }

  // Scans soon, as if a change had been heard: however often it is called, scans take a fifth of
  // one processor at most. From any thread.
  void RequestRescan() { Wake(kSoon); }

  const ReloadCounters& counters() const { return counters_; }

 private:
  using Clock = std::chrono::steady_clock;

  // Wishes, as bits.
  static constexpr uint32_t kSoon = 1;
  static constexpr uint32_t kNow = 2;
  static constexpr uint32_t kStop = 4;

  Reloader(const ReloaderOptions& options, LiveCatalog* live, Observer observer);

  absl::Status LoadFirst(const std::vector<StoreOptions>& stores, const CatalogOptions& options);
  void Wake(uint32_t wish);
  void Run();
  void Scan();
  void Publish(ReloadReport report, Clock::time_point begin, Clock::duration cpu_begin);
  void Settle();
  void WaitUntil(Clock::time_point when, uint32_t enough);
  Clock::time_point NextScan() const;
  Clock::duration Pause(int per_scan) const;
  bool Wants(uint32_t wishes) const { return (wishes_ & wishes) != 0; }

  const ReloaderOptions options_;
  LiveCatalog* const live_;
  const Observer observer_;
  const OwnedFd wake_;                 // eventfd
  std::unique_ptr<StoreWatch> watch_;  // Null where the system has none left.
  std::atomic<uint32_t> wishes_ = 0;
  ReloadCounters counters_;

  // Of the scanning thread.
  Clock::time_point last_scan_end_;
  Clock::duration last_scan_took_{};
  Clock::duration last_scan_cpu_{};  // Of it, what this thread worked.

  std::thread thread_;
};

}  // namespace tensord
