#include "server/tensor_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/chunk_encoder.h"
#include "server/chunk_options.h"
#include "src/crc32c.h"
#include "src/error.h"
#include "src/prefetch.h"
#include "src/read_runs.h"

namespace tensord {
namespace {

// A message that copies no more is made at once.
constexpr uint64_t kMaxLightBytes = 64 << 10;

// Bytes between two results that are fetched ahead, though nobody asks for them, to go on reading.
constexpr uint64_t kMaxGapBytes = 256 << 10;

// What a message's parts may take beside their data, and the stream's info.
constexpr size_t kMaxOverheadBytes = 64 << 10;

// Small results lie anywhere: their beginnings are told to the caches some parts before they are
// copied.
constexpr size_t kPartsAhead = 4;

StreamInfoView InfoOf(const ReadPlan& plan) {
  return {plan.model->id(), plan.model->version(), static_cast<uint32_t>(plan.results.size()),
          plan.size_bytes};
}

}  // namespace

TensorStream::TensorStream(ReadPlan plan, const Options& options)
    : plan_(std::move(plan)),
      options_(options),
      drafter_(plan_, options.messages),
      files_(plan_.model, options.faults) {}

TensorStream::Parts TensorStream::OfOneFile(size_t begin) const {
  const size_t file = FileOf(draft_.parts[begin]);
  size_t end = begin + 1;
  while (end < draft_.parts.size() && FileOf(draft_.parts[end]) == file) ++end;
  return absl::MakeSpan(draft_.parts).subspan(begin, end - begin);
}

bool TensorStream::MustWait(Parts parts) {
  const ServedFile* const file = files_.TryOpen(FileOf(parts.front()));
  if (file == nullptr || !file->is_mapped()) return true;
  const FileRange all = Hull(parts);
  if (all.size_bytes <= kMaxTouchedBytes) {
    return !file->IsInMemory(all.offset_bytes, all.size_bytes);
  }
  return std::any_of(parts.begin(), parts.end(), [this, file](const DraftPart& part) {
    if (part.size_bytes == 0) return false;
    const FileRange hull = Hull(part);
    return hull.size_bytes > kMaxTouchedBytes ||
           !file->IsInMemory(hull.offset_bytes, hull.size_bytes);
  });
}

bool TensorStream::IsCopied(Parts parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [](const DraftPart& part) { return part.size_bytes == 0 || !part.is_mapped; });
}

TensorStream::Parts TensorStream::DraftOneWait() {
  drafter_.Draft(position_, files_, options_.messages.chunk_bytes, draft_);
  bool is_ready = false;  // Something before needs no waiting.
  for (size_t i = 0; i < draft_.parts.size();) {
    if (draft_.parts[i].size_bytes == 0) {
      ++i;
      continue;
    }
    const Parts parts = OfOneFile(i);
    if (MustWait(parts)) {
      draft_.Cut(is_ready ? i : i + parts.size());
      return is_ready ? Parts() : parts;
    }
    is_ready = true;
    i += parts.size();
  }
  return {};
}

ChunkProducer::Needs TensorStream::Plan() {
  Needs needs;
  if (!is_fetched_) {
    const Parts waiting = DraftOneWait();
    if (!waiting.empty()) {
      const size_t file = FileOf(waiting.front());
      needs.place = plan_.model->place(file);
      // Copying touches the memory: in one pass, by the thread that may wait for the file.
      needs.reads = !files_.is_mapped(file) || IsCopied(waiting);
      needs.fetches = !needs.reads;
      if (needs.fetches) return needs;
    }
  }
  may_wait_ = needs.reads;
  PlanAhead(needs);
  const size_t own_bytes = OwnBytes(draft_);
  const size_t scratch_bytes = ScratchBytes(draft_);
  needs.is_heavy = draft_.touched_bytes > kMaxLightBytes;
  if (own_bytes + scratch_bytes > MessageBuilder::kMaxUncountedBytes) {
    needs.wanted_bytes = own_bytes + scratch_bytes;
    needs.least_bytes = std::min(own_bytes, kMinChunkBytes + kMaxOverheadBytes) + scratch_bytes;
    needs.is_heavy = true;
  }
  return needs;
}

void TensorStream::Fetch() {
  if (!Prepare(draft_)) return;
  FetchMissing();
  for (const DraftPart& part : draft_.parts) {
    if (part.size_bytes > 0) Touch(*files_.opened(FileOf(part)), part);
  }
  is_fetched_ = true;
}

void TensorStream::FetchMissing() {
  for (size_t i = 0; i < draft_.parts.size();) {
    if (draft_.parts[i].size_bytes == 0) {
      ++i;
      continue;
    }
    const Parts parts = OfOneFile(i);
    i += parts.size();
    const FileRange all = Hull(parts);
    if (all.size_bytes > kMaxTouchedBytes) continue;
    const ServedFile& file = *files_.opened(FileOf(parts.front()));
    read_ahead_.Missed(file, all);
    if (file.is_mapped()) file.Fetch(all.offset_bytes, all.size_bytes);
  }
}

void TensorStream::Touch(const ServedFile& file, const DraftPart& part) {
  const FileRange hull = Hull(part);
  if (hull.size_bytes <= kMaxTouchedBytes) {
    return file.Touch(file.bytes().subspan(hull.offset_bytes, hull.size_bytes));
  }
  // Runs so far apart are few.
  const absl::Span<const std::byte> tensor = TensorBytes(part);
  ChunkCursor cursor = CursorAt(part);
  for (uint64_t rest = part.size_bytes; rest > 0;) {
    const ChunkCursor::Run run = cursor.NextRun(rest);
    file.Touch(tensor.subspan(run.offset_bytes, run.size_bytes));
    cursor.Skip(run.size_bytes);
    rest -= run.size_bytes;
  }
}

void TensorStream::PlanAhead(Needs& needs) {
  const auto last = std::find_if(draft_.parts.rbegin(), draft_.parts.rend(),
                                 [](const DraftPart& part) { return part.size_bytes > 0; });
  if (last == draft_.parts.rend()) return;
  const std::shared_ptr<const ServedFile>& file = files_.opened(FileOf(*last));
  if (file == nullptr || !read_ahead_.Follows(*file)) return;
  const FileRange hull = Hull(*last);
  if (!read_ahead_.IsDue(*file, hull)) return;
  needs.ahead_file = file;
  needs.ahead = read_ahead_.Next(hull, WantedEnd(*last, hull.offset_bytes + hull.size_bytes));
}

uint64_t TensorStream::WantedEnd(const DraftPart& last, uint64_t begin) const {
  const size_t file = FileOf(last);
  uint64_t end = begin;
  for (size_t i = last.index; i < plan_.results.size() && plan_.results[i].file == file; ++i) {
    const PlannedResult& result = plan_.results[i];
    const FileRange next = HullOfResult(result, i == last.index ? last.offset_bytes : result.begin);
    if (next.offset_bytes > end + kMaxGapBytes || end > begin + ReadAhead::kReachBytes) break;
    end = std::max(end, next.offset_bytes + next.size_bytes);
  }
  return end;
}

absl::StatusOr<ChunkProducer::Chunk> TensorStream::Next(const std::shared_ptr<DrainGate>& gate,
                                                        BufferBudget::Buffer buffer) {
  is_fetched_ = false;
  const size_t scratch_bytes = ScratchBytes(draft_);
  if (buffer.size() > 0 && buffer.size() < OwnBytes(draft_) + scratch_bytes) {
    const size_t num_parts = draft_.parts.size();
    drafter_.Draft(position_, files_, buffer.size() - kMaxOverheadBytes - scratch_bytes, draft_);
    draft_.Cut(num_parts);
  }
  absl::Status failure = Failure(draft_);
  if (!failure.ok()) return failure;
  // Each void chunk tells of a file that it has failed, or once that it is not mapped.
  Chunk chunk{.message = {}, .is_last = false, .is_void = true};
  if (!Prepare(draft_)) return chunk;
  if (may_wait_) FetchMissing();
  if (!Encode(draft_, gate, std::move(buffer), chunk.message)) return chunk;
  if (!Confirm(draft_)) return chunk;
  Commit(draft_);
  chunk.is_last = position_.next == plan_.results.size();
  chunk.is_void = false;
  return chunk;
}

absl::Status TensorStream::Finish() {
  absl::Status status = files_.ConfirmMapped();
  if (!status.ok()) return status;
  if (num_failed_ == 0) return absl::OkStatus();
  const bool unreadable = ReasonOf(first_failure_) == ErrorReason::kReadError;
  return MakeError(
      unreadable ? ErrorReason::kReadError : ErrorReason::kFileChanged,
      absl::StrCat(num_failed_, " of ", plan_.results.size(),
                   " results could not be completed; first: ", first_failure_.message()));
}

std::optional<FilePlace> TensorStream::FinishWaitsFor() const { return files_.ConfirmWaitsFor(); }

absl::Status TensorStream::Failure(const MessageDraft& draft) const {
  if (options_.isolate_failures) return absl::OkStatus();
  for (const DraftPart& part : draft.parts) {
    if (part.error != nullptr) return *part.error;
  }
  return absl::OkStatus();
}

bool TensorStream::Prepare(const MessageDraft& draft) {
  size_t i = 0;
  while (i < draft.parts.size()) {
    const size_t file = FileOf(draft.parts[i]);
    bool wants_mapped = false;
    ranges_.clear();
    for (; i < draft.parts.size() && FileOf(draft.parts[i]) == file; ++i) {
      if (draft.parts[i].size_bytes == 0) continue;
      ranges_.push_back(Hull(draft.parts[i]));
      wants_mapped |= draft.parts[i].is_mapped;
    }
    if (ranges_.empty()) continue;
    const bool was_mapped = files_.is_mapped(file);
    if (!files_.Prepare(file, ranges_)) return false;
    // Drafted before the file was opened, by this call or, after the draft, by Plan: draft anew.
    if ((wants_mapped || was_mapped) && !files_.is_mapped(file)) return false;
  }
  return true;
}

bool TensorStream::Confirm(const MessageDraft& draft) {
  std::optional<size_t> confirmed;
  for (const DraftPart& part : draft.parts) {
    if (part.size_bytes == 0 || confirmed == FileOf(part)) continue;
    confirmed = FileOf(part);
    if (!files_.Confirm(*confirmed)) return false;
  }
  return true;
}

size_t TensorStream::OwnBytes(const MessageDraft& draft) const {
  size_t own_bytes = info_sent_ ? 0 : StreamInfoSize(InfoOf(plan_));
  for (const DraftPart& part : draft.parts) {
    own_bytes += part.prefix_bytes + (part.is_mapped ? 0 : part.size_bytes);
  }
  return own_bytes;
}

size_t TensorStream::ScratchBytes(const MessageDraft& draft) const {
  const auto is_gathered = [this](const DraftPart& part) {
    const PlannedResult& result = plan_.results[part.index];
    return part.size_bytes > 0 && !files_.is_mapped(result.file) &&
           !plan_.slices[result.slice]->is_contiguous();
  };
  return std::any_of(draft.parts.begin(), draft.parts.end(), is_gathered) ? kReadRunsScratchBytes
                                                                          : 0;
}

bool TensorStream::Encode(const MessageDraft& draft, const std::shared_ptr<DrainGate>& gate,
                          BufferBudget::Buffer buffer, grpc::ByteBuffer& message) {
  const StreamInfoView info = InfoOf(plan_);
  MessageBuilder builder(OwnBytes(draft), std::move(buffer));
  if (!info_sent_) EncodeStreamInfo(info, builder.Own(StreamInfoSize(info)));
  for (size_t i = 0; i < draft.parts.size(); ++i) {
    if (i + kPartsAhead < draft.parts.size()) PrefetchPart(draft.parts[i + kPartsAhead]);
    if (!EncodePart(draft.parts[i], gate, builder)) return false;
  }
  message = builder.Build();
  return true;
}

void TensorStream::PrefetchPart(const DraftPart& part) const {
  const PlannedResult& result = plan_.results[part.index];
  const SlicePlan& slice = *plan_.slices[result.slice];
  const bool is_copied = part.size_bytes > 0 && !part.is_mapped && files_.is_mapped(result.file);
  if (!is_copied || !slice.is_contiguous()) return;
  const uint64_t begin = result.tensor_offset_bytes + slice.offset_bytes() + part.offset_bytes;
  Prefetch(files_.opened(result.file)->bytes().subspan(begin).data(), part.size_bytes);
}

bool TensorStream::EncodePart(const DraftPart& part, const std::shared_ptr<DrainGate>& gate,
                              MessageBuilder& builder) {
  const absl::Span<std::byte> checksum =
      EncodePartPrefix(drafter_.View(part), builder.Own(part.prefix_bytes));
  if (part.is_mapped) {
    AppendMapped(part, gate, checksum, builder);
  } else if (part.size_bytes > 0) {
    return AppendCopied(part, checksum, builder);
  } else if (!checksum.empty()) {
    EncodeCrc32c(0, checksum);
  }
  return true;
}

void TensorStream::AppendMapped(const DraftPart& part, const std::shared_ptr<DrainGate>& gate,
                                absl::Span<std::byte> checksum, MessageBuilder& builder) {
  const absl::Span<const std::byte> tensor = TensorBytes(part);
  ChunkCursor& cursor = CursorAt(part);
  const std::shared_ptr<const ServedFile>& file = files_.opened(FileOf(part));
  std::vector<absl::Span<const std::byte>> runs;
  uint32_t crc = 0;
  for (uint64_t rest = part.size_bytes; rest > 0;) {
    const ChunkCursor::Run run = cursor.NextRun(rest);
    runs.push_back(tensor.subspan(run.offset_bytes, run.size_bytes));
    file->Touch(runs.back());
    if (!checksum.empty()) crc = ExtendCrc32c(crc, runs.back());
    cursor.Skip(run.size_bytes);
    rest -= run.size_bytes;
  }
  if (!checksum.empty()) EncodeCrc32c(crc, checksum);
  for (const auto& run : runs) builder.Append(file, run, gate);
}

bool TensorStream::AppendCopied(const DraftPart& part, absl::Span<std::byte> checksum,
                                MessageBuilder& builder) {
  const absl::Span<std::byte> destination = builder.Own(part.size_bytes);
  const size_t file = FileOf(part);
  if (files_.is_mapped(file)) {
    CursorAt(part).Gather(TensorBytes(part), destination);
  } else {
    const absl::Status read =
        ReadRuns(*files_.opened(file), plan_.results[part.index].tensor_offset_bytes,
                 CursorAt(part), builder.scratch(), destination);
    if (!files_.Note(file, read)) return false;
  }
  if (!checksum.empty()) EncodeCrc32c(ExtendCrc32c(0, destination), checksum);
  return true;
}

FileRange TensorStream::Hull(const DraftPart& part) {
  const PlannedResult& result = plan_.results[part.index];
  const SlicePlan& slice = *plan_.slices[result.slice];
  if (slice.is_contiguous()) {
    return {result.tensor_offset_bytes + slice.offset_bytes() + part.offset_bytes, part.size_bytes};
  }
  const ChunkCursor::Run hull = CursorAt(part).Hull(part.size_bytes);
  return {result.tensor_offset_bytes + hull.offset_bytes, hull.size_bytes};
}

FileRange TensorStream::Hull(Parts parts) {
  uint64_t low = ~uint64_t{0};
  uint64_t high = 0;
  for (const DraftPart& part : parts) {
    if (part.size_bytes == 0) continue;
    const FileRange hull = Hull(part);
    low = std::min(low, hull.offset_bytes);
    high = std::max(high, hull.offset_bytes + hull.size_bytes);
  }
  return {low, high - low};
}

FileRange TensorStream::HullOfResult(const PlannedResult& result, uint64_t begin) const {
  const ChunkCursor cursor(plan_.slices[result.slice], begin, result.end);
  const ChunkCursor::Run hull = cursor.Hull(cursor.remaining_bytes());
  return {result.tensor_offset_bytes + hull.offset_bytes, hull.size_bytes};
}

ChunkCursor& TensorStream::CursorAt(const DraftPart& part) {
  if (!cursor_ || cursor_index_ != part.index || cursor_->offset_bytes() != part.offset_bytes) {
    const PlannedResult& result = plan_.results[part.index];
    cursor_.emplace(plan_.slices[result.slice], part.offset_bytes, result.end);
    cursor_index_ = part.index;
  }
  return *cursor_;
}

size_t TensorStream::FileOf(const DraftPart& part) const { return plan_.results[part.index].file; }

absl::Span<const std::byte> TensorStream::TensorBytes(const DraftPart& part) const {
  const Model::Tensor tensor = plan_.model->tensor(plan_.results[part.index].tensor);
  return files_.opened(tensor.file)->bytes().subspan(tensor.offset_bytes, tensor.size_bytes);
}

void TensorStream::Commit(const MessageDraft& draft) {
  for (const DraftPart& part : draft.parts) {
    sent_bytes_ += part.size_bytes;
    if (part.size_bytes > 0) {
      const SlicePlan& slice = *plan_.slices[plan_.results[part.index].slice];
      read_bytes_ += std::min(TouchedBytes(slice, part.size_bytes), Hull(part).size_bytes);
    }
    if (part.error == nullptr) continue;
    if (num_failed_++ == 0) first_failure_ = *part.error;
  }
  position_ = draft.after;
  info_sent_ = true;
}

}  // namespace tensord
