// What a call has cost.
#pragma once

#include <cstdint>

namespace tensord {

struct CallReport {
  // Data bytes out of messages, those of broken streams included: as many as the result has, and
  // what was on its way when a stream broke is not fetched twice but for the messages it cut.
  uint64_t bytes_received = 0;

  // Attempts beyond the first of an RPC: calls made again, and streams resumed at their byte.
  uint64_t num_retries = 0;

  // Times that the read began anew with another version; see
  // CallOptions::restart_on_version_change.
  uint64_t num_restarts = 0;
};

}  // namespace tensord
