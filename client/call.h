// What one call of the client obeys, on all RPCs that it takes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tensord/cancellation.h"

namespace tensord {

// What a call has cost so far. Thread-safe.
struct CallCounters {
  std::atomic<uint64_t> bytes_received = 0;  // As CallReport's.
  std::atomic<uint64_t> num_retries = 0;
  std::atomic<uint64_t> num_restarts = 0;
};

// CallOptions with their defaults filled in.
struct Call {
  absl::Time deadline = absl::InfiniteFuture();
  absl::Duration connect_timeout = absl::Seconds(10);
  std::string version;                      // Empty: any.
  std::vector<Cancellation> cancellations;  // Any of them ends the call.
  bool restart_on_version_change = false;
  std::string request_id;
  std::shared_ptr<CallCounters> counters = std::make_shared<CallCounters>();

  bool IsCancelled() const {
    for (const Cancellation& cancellation : cancellations) {
      if (cancellation.IsCancelled()) return true;
    }
    return false;
  }
};

}  // namespace tensord
