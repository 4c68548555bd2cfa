// How a client behaves, and what one call may ask for on top.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "tensord/call_report.h"
#include "tensord/cancellation.h"

namespace tensord {

struct ClientOptions {
  // How long a call waits for a connection when there is none, so that a worker may start before
  // its server. After that: UNAVAILABLE naming address and cause. Positive. A server that
  // says STARTING or DRAINING for so long counts as one that is not there.
  absl::Duration connect_timeout = absl::Seconds(10);

  // While calls run on a connection and nothing arrives for so long, the server is asked whether it
  // is there; if it does not answer for as long again, at most 20 s, the connection counts as
  // broken and the calls are retried. At least 1 s; servers may close connections that ask more
  // often than every 20 s.
  absl::Duration keepalive_interval = absl::Seconds(30);

  // For calls without a deadline of their own, counted from their beginning.
  absl::Duration default_timeout = absl::InfiniteDuration();

  // Data bytes the server puts into one message; it clamps them to [64 KiB, 4 MiB - 64 KiB].
  // 0: what the server finds best, about 1 MiB. Also roughly what a stream needs besides the
  // destination. Less is asked for while connections break within a single message.
  uint32_t chunk_bytes = 0;

  // Larger messages from the server fail the call with RESOURCE_EXHAUSTED. Must exceed chunk_bytes.
  uint32_t max_message_bytes = 4 << 20;

  // Asks for a CRC32C on all data and checks it: guards against faulty memory and proxies, for some
  // 10% of speed. A mismatch, or its absence, is DATA_LOSS.
  bool checksum = false;

  // Makes calls again that fail with UNAVAILABLE, with RESOURCE_EXHAUSTED for a limit that comes
  // free again, or with ABORTED (STALLED), and resumes broken streams at their byte, pinned to the
  // version they began with. All within the call's deadline. Other errors are never retried.
  bool retry = true;

  // The pause before an attempt is a random part of first_backoff, then twice that, and so on up to
  // last_backoff, and begins anew when data has come; what a server asks for is waited on top.
  // Positive, the first at most the last.
  absl::Duration first_backoff = absl::Milliseconds(100);
  absl::Duration last_backoff = absl::Seconds(5);

  // So many attempts in a row may bring nothing beyond the one that failed; then the call does.
  int max_resumes_without_progress = 5;

  // TLS on TCP addresses: a PEM file with the authorities of which one has signed the server's
  // certificate. Empty: no TLS. Unix sockets have none whatever stands here.
  std::string tls_ca;

  // PEM files with this client's own certificate (chain) and key, for servers that ask for them.
  // Both or neither, and with tls_ca only. Files of TLS are read when the client is made.
  std::string tls_cert;
  std::string tls_key;

  // The bearer token that goes with every call, or a file that holds it, which is read again while
  // the client lives. Not both. Travels over TLS and Unix sockets only: with any other address
  // there is no client, but INVALID_ARGUMENT.
  std::string token;
  std::string token_file;

  // Connections to each server, from 1 to 64. Calls take turns on them, and reads of 64 MiB and
  // more are spread over all of them. One is fastest where client and server share few processors.
  size_t connections = 1;

  // Threads for asynchronous calls, started when first needed. One call occupies one thread until
  // its callback returns; further calls wait for their turn. At least 1.
  size_t num_async_threads = 4;
};

struct CallOptions {
  // When to give up, waiting for a connection included: DEADLINE_EXCEEDED. Absent: see
  // ClientOptions::default_timeout.
  std::optional<absl::Time> deadline;

  // Positive. For this call instead of ClientOptions::connect_timeout; absent: that one.
  std::optional<absl::Duration> connect_timeout;

  // Answer only if the model has this version, else FAILED_PRECONDITION (VERSION_CHANGED). Empty:
  // whatever it has now. Ignored by ListModels.
  std::string version;

  // Names the call in the log of its server, and in errors: 1 to 64 characters of [A-Za-z0-9._-].
  // Anything else: the client makes one.
  std::string request_id;

  // Ends the call with CANCELLED.
  std::optional<Cancellation> cancellation;

  // Where the model is replaced while it is read, begin anew with the version it has then, a few
  // times at most, instead of failing with VERSION_CHANGED. Nothing of the old version stays: a
  // file sink is called from the range's beginning again. Without effect beside `version`.
  bool restart_on_version_change = false;

  // Borrowed; filled in, whatever the result, before the call returns or its callback runs.
  CallReport* report = nullptr;
};

}  // namespace tensord
