// What the connection guard allows.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tensord {

// Of one connection, unless it says otherwise. Beyond a limit the connection is closed.
struct GuardLimits {
  size_t max_connections = 256;
  // Of one address or, at a Unix socket, of one user: a quarter, so that no peer takes all places.
  // A proxy that opens a connection for each call is one peer: more places give it more.
  size_t max_connections_per_peer = 64;

  // Until the first HTTP/2 frame. TLS comes before it and has the same time once more.
  std::chrono::milliseconds handshake_timeout{10'000};

  // What clients send is little: under 1 KiB a call, and 13 to 26 bytes for each 16 KiB or more
  // that they read. The burst holds two requests of the default --max-request-size.
  uint64_t inbound_burst_bytes = 8 << 20;
  uint64_t inbound_bytes_per_second = 256 << 10;
  // Allowed besides for what the peer has acknowledged: a window update each 2 KiB.
  double inbound_share_of_acknowledged = 0.01;

  // A cancelled call costs gRPC 22 KiB for a while, its client 80 bytes: 22 MiB at once.
  double cancels_burst = 1000;
  double cancels_per_second = 200;

  // Of all connections of a peer together, also of those that have ended: measured as 40 MiB. A
  // peer may be many honest clients: beyond it a connection is left the few that do no harm, and
  // only new connections wait, 10 ms for each excess of the last seconds.
  double peer_cancels_burst = 2400;
  double peer_cancels_per_second = 1000;
  double spare_cancels_burst = 16;
  double spare_cancels_per_second = 5;
  double max_peer_excesses = 10;
  std::chrono::milliseconds pause_per_excess{10};
  std::chrono::milliseconds longest_pause{2'000};

  // Streams that the client has begun and the server has not ended. gRPC enforces its own limit of
  // 128 only on clients that say they have heard of it; honest ones may begin many before that.
  size_t max_open_streams = 1024;

  // Requests that have not come to their end, of all connections of a peer: gRPC keeps what has
  // come of each. Beyond it a connection may have as much as a call in the middle of its request.
  uint64_t peer_request_bytes = 48 << 20;
  uint64_t spare_request_bytes = 128 << 10;

  // A header block with all its CONTINUATIONs, nine bytes of each frame included. gRPC refuses
  // calls above 8 KiB by itself, but keeps reading the block however long it grows.
  uint64_t max_header_block_bytes = 64 << 10;

  // An honest client waits for the answer before the next; gRPC keeps 400 bytes of each.
  size_t max_pings_unanswered = 1000;

  // SETTINGS, PRIORITY, empty DATA, frames of unknown types: an honest client sends a handful.
  double odd_frames_burst = 1000;
  double odd_frames_per_second = 100;
};

}  // namespace tensord
