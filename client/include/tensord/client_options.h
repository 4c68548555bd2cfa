// How a client behaves, and what one call may ask for on top.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "tensord/cancellation.h"

namespace tensord {

struct ClientOptions {
  // How long a call waits for a connection when there is none, so that a worker may start before
  // its server. After that: UNAVAILABLE naming address and cause. 0: only one try.
  absl::Duration connect_timeout = absl::Seconds(10);

  // For calls without a deadline of their own, counted from their beginning.
  absl::Duration default_timeout = absl::InfiniteDuration();

  // Data bytes the server puts into one message; it clamps them to [64 KiB, 4 MiB - 64 KiB].
  // 0: what the server finds best, about 1 MiB. Also roughly what a stream needs besides the
  // destination.
  uint32_t chunk_bytes = 0;

  // Larger messages from the server fail the call with RESOURCE_EXHAUSTED. Must exceed chunk_bytes.
  uint32_t max_message_bytes = 4 << 20;

  // Asks for a CRC32C on all data and checks it: guards against faulty memory and proxies, for some
  // 10% of speed. A mismatch, or its absence, is DATA_LOSS.
  bool checksum = false;

  // Threads for asynchronous calls, started when first needed. One call occupies one thread until
  // its callback returns; further calls wait for their turn. At least 1.
  size_t num_async_threads = 4;
};

struct CallOptions {
  // When to give up, waiting for a connection included: DEADLINE_EXCEEDED. Absent: see
  // ClientOptions::default_timeout.
  std::optional<absl::Time> deadline;

  // Answer only if the model has this version, else FAILED_PRECONDITION (VERSION_CHANGED). Empty:
  // whatever it has now. Ignored by ListModels.
  std::string version;

  // Ends the call with CANCELLED.
  std::optional<Cancellation> cancellation;
};

}  // namespace tensord
