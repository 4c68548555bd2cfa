// Decides what the next message of a tensor stream holds, before any byte of it is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/chunk_encoder.h"
#include "server/model_files.h"
#include "server/read_plan.h"
#include "src/chunk_cursor.h"

namespace tensord {

// How far a stream has come.
struct StreamPosition {
  size_t next = 0;            // Into ReadPlan::results.
  bool begun = false;         // Whether a part of that result has been sent.
  uint64_t offset_bytes = 0;  // Of its next part, once begun.
};

// One part of a message.
struct DraftPart {
  size_t index = 0;  // Into ReadPlan::results.
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  size_t prefix_bytes = 0;
  bool has_header = false;
  uint64_t touched_bytes = 0;           // Of its file, if copied; about.
  bool is_mapped = false;               // Sent from where it is mapped, else copied or read.
  const absl::Status* error = nullptr;  // Of the result's file; then there are no data.
};

struct MessageDraft {
  std::vector<DraftPart> parts;
  StreamPosition after;
  uint64_t touched_bytes = 0;  // Of all parts.

  // Keeps the first `num_parts` parts; the others come in a later message.
  void Cut(size_t num_parts);
};

// What one message may touch of files in order to be put together, so that a turn is short whatever
// a slice looks like: 4096 pages, about a millisecond once they are in memory.
inline constexpr uint64_t kMaxTouchedBytes = 16 << 20;

// About how much of a file a result's runs touch where they lie far apart: each with the rest of
// its first and last page.
uint64_t TouchedBytes(const SlicePlan& slice, uint64_t size_bytes);

// Contiguous runs from this size on are sent where they are mapped. Below it a copy is as fast: it
// lands in the cache from which the socket then reads, and gRPC's cost per slice is saved.
inline constexpr uint64_t kMinMappedBytes = 64 << 10;

// Drafts messages of one plan. Thread-safe; `plan` must outlive it.
class MessageDrafter {
 public:
  struct Options {
    uint32_t chunk_bytes = 0;  // Data of a message, clamped.
    bool checksum = false;
    bool plan_only = false;  // Headers without data.
  };

  MessageDrafter(const ReadPlan& plan, const Options& options) : plan_(plan), options_(options) {}

  // What comes at `position`: results in `files` that have failed become errors. At most
  // `max_data_bytes` of data, kMaxTouchedBytes of work and ModelFiles::kMaxPerMessage files. Fills
  // `draft`.
  void Draft(const StreamPosition& position, ModelFiles& files, uint64_t max_data_bytes,
             MessageDraft& draft) const;

  // A part's fields, but its data; views into the plan, the model and the part's error.
  TensorPartView View(const DraftPart& part) const;

 private:
  // Whether a part of `result` may stand in this message.
  bool Admit(const PlannedResult& result, ModelFiles& files) const;
  bool ReadsFile(const PlannedResult& result) const;
  // The most of the result at `position` that one part with at most `room` bytes of data can hold.
  DraftPart NextPart(const StreamPosition& position, ModelFiles& files, uint64_t room,
                     uint64_t work_room) const;
  // Chooses between mapping and copying: sets size_bytes and is_mapped.
  void Measure(const PlannedResult& result, bool is_file_mapped, uint64_t room,
               DraftPart& part) const;
  // Sets touched_bytes, and size_bytes such that it is at most about `work_room`.
  void BoundWork(const PlannedResult& result, uint64_t work_room, DraftPart& part) const;

  const ReadPlan& plan_;
  const Options options_;
};

}  // namespace tensord
