// What a stream sends: the messages of one call, one after another.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/buffer_budget.h"
#include "server/chunk_source.h"
#include "server/drain_gate.h"
#include "src/file_place.h"
#include "src/served_file.h"

namespace tensord {

// Makes a call's messages. Not thread-safe: a stream asks for one at a time, from changing threads.
class ChunkProducer {
 public:
  struct Chunk {
    grpc::ByteBuffer message;
    bool is_last = false;
    // There is no message: a file has failed since Plan, or is not as it was thought to be. Plan is
    // to be called again.
    bool is_void = false;
  };

  // What it takes to make a message.
  struct Needs {
    size_t wanted_bytes = 0;  // Memory of its own; 0: too little to count.
    size_t least_bytes = 0;   // With which a smaller message can be made; <= wanted_bytes.
    bool is_heavy = false;    // More than some microseconds, or memory.
    // Before the next message bytes have to come from a disk or another machine: Fetch is to be
    // called where that may be waited for, then Plan again.
    bool fetches = false;
    // Next itself waits so.
    bool reads = false;
    FilePlace place;  // For what is waited then.
    // To be fetched beside the message, where that may be waited for; null: nothing.
    std::shared_ptr<const ServedFile> ahead_file;
    FileRange ahead;
  };

  virtual ~ChunkProducer() = default;

  // Decides what the next message holds; there is always at least one. Quick: waits for no file.
  virtual Needs Plan() = 0;

  // Makes present what the next message needs, if Plan said so. May wait for the file system. What
  // fails is told by Next.
  virtual void Fetch() = 0;

  // That message, after Plan; smaller if `buffer` is less than was wanted. Mapped memory in it
  // holds `gate`. An error ends the stream. Never called again after an error or the last message.
  virtual absl::StatusOr<Chunk> Next(const std::shared_ptr<DrainGate>& gate,
                                     BufferBudget::Buffer buffer) = 0;

  // How the call ends, asked once every message has been taken and `gate` is drained: OK only if
  // what was sent is known to be right.
  virtual absl::Status Finish() = 0;

  // Where Finish has to wait, if it has to.
  virtual std::optional<FilePlace> FinishWaitsFor() const = 0;

  uint64_t read_bytes() const { return read_bytes_; }  // Of file data that was touched.
  uint64_t sent_bytes() const { return sent_bytes_; }  // Of data in messages.

 protected:
  uint64_t read_bytes_ = 0;
  uint64_t sent_bytes_ = 0;
};

}  // namespace tensord
