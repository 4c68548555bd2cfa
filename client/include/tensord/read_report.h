// How a batch went.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tensord {

// Why one request of a batch has no bytes.
struct ReadFailure {
  size_t request = 0;  // Into the requests of the batch.
  absl::Status status;
};

struct ReadReport {
  std::string model;                  // Canonical id.
  std::string version;                // All bytes are of this version.
  uint64_t bytes = 0;                 // Of the requests that were read.
  uint64_t bytes_received = 0;        // Data bytes out of messages, as CallReport's.
  uint64_t num_retries = 0;           // As CallReport's.
  std::vector<ReadFailure> failures;  // In order of request. Empty: everything was read.
};

// What has arrived so far; never decreases, unless the read begins anew with another version. Bytes
// count as read only when the call has returned.
struct ReadProgress {
  uint64_t bytes = 0;
  size_t requests = 0;      // Complete ones; one read in parts counts with its last part.
  size_t num_requests = 0;  // Of the batch.
};

// Called from a thread that reads, after each message; it delays the stream while it runs. With
// several connections from several threads, but never twice at once.
using ProgressCallback = std::function<void(const ReadProgress&)>;

}  // namespace tensord
