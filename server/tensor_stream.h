// The messages of GetTensor, GetSlice and GetTensors.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/chunk_producer.h"
#include "server/message_builder.h"
#include "server/message_draft.h"
#include "server/model_files.h"
#include "server/read_ahead.h"
#include "server/read_plan.h"
#include "src/chunk_cursor.h"

namespace tensord {

// Walks a plan. Each message is drafted, its files prepared, its parts encoded, and what was copied
// confirmed; a file that fails on the way puts its error on the results that need it.
class TensorStream final : public ChunkProducer {
 public:
  struct Options {
    MessageDrafter::Options messages;
    // A file that fails ends only its own results (GetTensors), not the stream.
    bool isolate_failures = false;
    FileFaults* faults = nullptr;  // Null, or outlives the stream.
  };

  TensorStream(ReadPlan plan, const Options& options);

  Needs Plan() override;
  void Fetch() override;
  absl::StatusOr<Chunk> Next(const std::shared_ptr<DrainGate>& gate,
                             BufferBudget::Buffer buffer) override;
  absl::Status Finish() override;
  std::optional<FilePlace> FinishWaitsFor() const override;

 private:
  // Parts of a draft, of one file.
  using Parts = absl::Span<const DraftPart>;

  // Drafts a message that waits for one file, or if it can be, for none; returns what waits.
  Parts DraftOneWait();
  static bool IsCopied(Parts parts);
  // The parts from `begin` on that are of its file, up to those of another.
  Parts OfOneFile(size_t begin) const;
  bool MustWait(Parts parts);
  void Touch(const ServedFile& file, const DraftPart& part);
  // Brings the draft's bytes, which are not in memory, there at once; from here on what follows is
  // fetched ahead.
  void FetchMissing();
  // What is to be fetched while the draft is sent.
  void PlanAhead(Needs& needs);
  // Where in its file the stream will read on without a large gap, as far as it is fetched ahead.
  uint64_t WantedEnd(const DraftPart& last, uint64_t begin) const;

  // Opens and checks the files of the draft. False when one failed.
  bool Prepare(const MessageDraft& draft);
  // Checks the files of what was copied or touched. False when one failed.
  bool Confirm(const MessageDraft& draft);
  // The first failed file's error, if the draft meets one and failures end the stream.
  absl::Status Failure(const MessageDraft& draft) const;

  // Of the draft's message, its bytes that are not mapped.
  size_t OwnBytes(const MessageDraft& draft) const;
  // What it takes to read the draft's parts, beside that.
  size_t ScratchBytes(const MessageDraft& draft) const;
  // False when a file has failed.
  bool Encode(const MessageDraft& draft, const std::shared_ptr<DrainGate>& gate,
              BufferBudget::Buffer buffer, grpc::ByteBuffer& message);
  // Tells the caches what a copied part needs first. Its file was prepared.
  void PrefetchPart(const DraftPart& part) const;
  bool EncodePart(const DraftPart& part, const std::shared_ptr<DrainGate>& gate,
                  MessageBuilder& builder);
  void AppendMapped(const DraftPart& part, const std::shared_ptr<DrainGate>& gate,
                    absl::Span<std::byte> checksum, MessageBuilder& builder);
  bool AppendCopied(const DraftPart& part, absl::Span<std::byte> checksum, MessageBuilder& builder);

  // Where the part's bytes lie in its file, from the first to the last.
  FileRange Hull(const DraftPart& part);
  FileRange Hull(Parts parts);
  // The same for all bytes of a result from `begin` on.
  FileRange HullOfResult(const PlannedResult& result, uint64_t begin) const;
  // A cursor that stands at the part's first byte. Parts are walked in order, so that one is kept.
  ChunkCursor& CursorAt(const DraftPart& part);
  size_t FileOf(const DraftPart& part) const;
  absl::Span<const std::byte> TensorBytes(const DraftPart& part) const;
  void Commit(const MessageDraft& draft);

  const ReadPlan plan_;
  const Options options_;
  const MessageDrafter drafter_;
  ModelFiles files_;
  StreamPosition position_;
  bool info_sent_ = false;
  MessageDraft draft_;       // Kept for its memory.
  bool is_fetched_ = false;  // All that the draft needs.
  bool may_wait_ = false;    // The message is made where files may be waited for.
  ReadAhead read_ahead_;
  std::vector<FileRange> ranges_;
  std::optional<ChunkCursor> cursor_;
  size_t cursor_index_ = 0;  // Which result `cursor_` walks.
  size_t num_failed_ = 0;    // Results that were sent an error.
  absl::Status first_failure_;
};

}  // namespace tensord
