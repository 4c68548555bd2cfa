// Puts a stream of TensorChunks together, and believes nothing that it can check.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/chunk_decoder.h"
#include "client/destination_writer.h"
#include "client/piece_cursor.h"
#include "tensord/dtype.h"

namespace tensord {

// What one stream is expected to hold.
struct StreamExpectation {
  std::optional<uint32_t> num_results;  // Absent: patterns decide it; then results come in order.
  std::string version;                  // Empty: any.
  bool checksum = false;                // All data must carry one.
  bool headers_only = false;            // A plan: results are complete without data.
};

// A result as its header describes it, checked against itself.
struct ResultHeader {
  uint32_t result = 0;
  std::optional<Dtype> dtype;  // Absent: one that this build does not know; then its size is taken
                               // on trust.
  const ChunkHeader* header;   // Borrowed for the call.
};

// Where a result goes: the writer's first byte is byte `begin` of it. Of the writer's bytes this
// stream brings [first, end); the others come by other streams.
struct ResultPlace {
  DestinationWriter writer;
  uint64_t begin = 0;
  uint64_t first = 0;
  std::optional<uint64_t> end;  // Absent: writer.size_bytes().

  uint64_t Last() const { return end.value_or(writer.size_bytes()); }
  uint64_t NumWanted() const { return Last() - first; }
};

// All errors are DATA_LOSS and say what, got and wanted, besides those of `place`. Used by one
// thread.
class ChunkAssembler {
 public:
  // Called once for each result, when its header arrives, before anything of it is written. An
  // error ends the stream.
  using Place = std::function<absl::StatusOr<ResultPlace>(const ResultHeader&)>;

  ChunkAssembler(StreamExpectation expectation, Place place);

  // Takes one message; `message` is borrowed for the call. After an error, call nothing else.
  absl::Status Add(PieceCursor message);

  // To be called at the end of a stream with status OK: nothing may be missing.
  absl::Status Finish() const;

  // Of the stream; empty before its first message.
  const ChunkStreamInfo& info() const { return info_; }

  // Of the results so far; bytes of failed ones included.
  uint64_t bytes_received() const { return bytes_received_; }
  size_t num_complete() const { return num_complete_; }

  bool IsComplete(uint32_t result) const {
    return result < states_.size() && states_[result] == State::kComplete;
  }

  // A result of which some bytes, but not all, have arrived.
  struct Open {
    uint32_t result = 0;
    uint64_t next = 0;  // Of the writer's bytes: where it goes on.
  };
  std::optional<Open> open() const {
    if (!open_) return std::nullopt;
    return Open{*open_, next_offset_ - target_.begin};
  }

  // What the server said about results that it could not complete.
  struct Failure {
    uint32_t result = 0;
    absl::Status status;
  };
  const std::vector<Failure>& failures() const { return failures_; }

 private:
  enum class State : uint8_t { kMissing, kOpen, kComplete, kFailed };

  absl::Status AddInfo(const ChunkStreamInfo& info);
  absl::Status AddPart(const ChunkPart& part);
  absl::Status Begin(uint32_t result, const ChunkHeader& header);
  absl::Status Fail(const ChunkPart& part);
  absl::Status Write(const ChunkPart& part);
  // Writes the part's data at byte `offset` of what is wanted, and checks their checksum.
  absl::Status Copy(const ChunkPart& part, uint64_t offset);
  void CompleteIfFull();
  uint64_t NumWritten() const { return next_offset_ - target_.begin - target_.first; }

  const StreamExpectation expectation_;
  const Place place_;
  bool has_info_ = false;
  ChunkStreamInfo info_;
  std::vector<State> states_;  // One for each result.
  std::vector<Failure> failures_;
  uint64_t bytes_received_ = 0;
  size_t num_complete_ = 0;

  // The result that parts are arriving for; results are never interleaved.
  std::optional<uint32_t> open_;
  ResultPlace target_;
  uint64_t next_offset_ = 0;  // In the result.
};

}  // namespace tensord
