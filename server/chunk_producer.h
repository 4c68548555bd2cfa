// What a stream sends: the messages of one call, one after another.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/drain_gate.h"

namespace tensord {

// Makes a call's messages. Not thread-safe: a stream asks for one at a time, from changing threads.
class ChunkProducer {
 public:
  struct Chunk {
    grpc::ByteBuffer message;
    bool is_last = false;
  };

  virtual ~ChunkProducer() = default;

  // The next message; there is always at least one. Mapped memory in it holds `gate`. An error ends
  // the stream. Never called again after an error or the last message.
  virtual absl::StatusOr<Chunk> Next(const std::shared_ptr<DrainGate>& gate) = 0;

  // How the call ends, asked once every message has been taken and `gate` is drained: OK only if
  // what was sent is known to be right.
  virtual absl::Status Finish() = 0;

  uint64_t read_bytes() const { return read_bytes_; }  // Of file data that was touched.
  uint64_t sent_bytes() const { return sent_bytes_; }  // Of data in messages.

 protected:
  uint64_t read_bytes_ = 0;
  uint64_t sent_bytes_ = 0;
};

}  // namespace tensord
