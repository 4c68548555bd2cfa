#include "server/message_draft.h"

#include <algorithm>

#include "absl/strings/string_view.h"
#include "src/error.h"

namespace tensord {
namespace {

// Prefixes of all parts but the first: with kMaxChunkBytes of data, the stream's info and the
// longest first prefix the message stays below gRPC's 4 MiB.
constexpr uint64_t kMaxPrefixBytes = 32 << 10;

constexpr uint64_t kPageBytes = 4096;

}  // namespace

uint64_t TouchedBytes(const SlicePlan& slice, uint64_t size_bytes) {
  if (slice.is_contiguous() || size_bytes == 0) return size_bytes;
  const uint64_t num_runs = 1 + (size_bytes - 1) / slice.run_bytes();
  return size_bytes + num_runs * kPageBytes;
}

void MessageDraft::Cut(size_t num_parts) {
  if (num_parts >= parts.size()) return;
  const DraftPart& next = parts[num_parts];
  after = {.next = next.index, .begun = !next.has_header, .offset_bytes = next.offset_bytes};
  parts.resize(num_parts);
  touched_bytes = 0;
  for (const DraftPart& part : parts) touched_bytes += part.touched_bytes;
}

void MessageDrafter::Draft(const StreamPosition& position, ModelFiles& files,
                           uint64_t max_data_bytes, MessageDraft& draft) const {
  files.BeginMessage();
  draft.parts.clear();
  draft.after = position;
  StreamPosition& at = draft.after;
  uint64_t data_room = max_data_bytes;
  uint64_t total_room = max_data_bytes + kMaxPrefixBytes;
  uint64_t work_room = kMaxTouchedBytes;
  while (at.next < plan_.results.size() && Admit(plan_.results[at.next], files)) {
    const DraftPart part = NextPart(at, files, data_room, work_room);
    const uint64_t end = plan_.results[part.index].end;
    const bool completes =
        part.error != nullptr || options_.plan_only || part.offset_bytes + part.size_bytes == end;
    const uint64_t cost = part.prefix_bytes + part.size_bytes;
    if (!draft.parts.empty()) {
      // A small result is not torn apart, and a large one not into crumbs.
      if (cost > total_room || (!completes && part.size_bytes < kMinMappedBytes)) break;
    }
    draft.parts.push_back(part);
    data_room -= part.size_bytes;
    total_room -= std::min(cost, total_room);
    work_room -= part.touched_bytes;
    if (completes) {
      at = {.next = at.next + 1, .begun = false, .offset_bytes = 0};
    } else {
      at = {.next = at.next, .begun = true, .offset_bytes = part.offset_bytes + part.size_bytes};
      if (data_room == 0) break;
    }
    if (work_room == 0) break;
  }
  draft.touched_bytes = kMaxTouchedBytes - work_room;
}

bool MessageDrafter::Admit(const PlannedResult& result, ModelFiles& files) const {
  return !ReadsFile(result) || files.Admit(result.file);
}

bool MessageDrafter::ReadsFile(const PlannedResult& result) const {
  return !options_.plan_only && result.begin < result.end;
}

DraftPart MessageDrafter::NextPart(const StreamPosition& position, ModelFiles& files, uint64_t room,
                                   uint64_t work_room) const {
  const PlannedResult& result = plan_.results[position.next];
  DraftPart part;
  part.index = position.next;
  part.has_header = !position.begun;
  part.offset_bytes = position.begun ? position.offset_bytes : result.begin;
  const size_t file = result.file;
  if (ReadsFile(result)) {
    if (files.status(file).ok()) {
      files.TryOpen(file);  // Else it is presumed to be mapped.
      Measure(result, files.is_mapped(file), room, part);
      if (!part.is_mapped) BoundWork(result, work_room, part);
    } else {
      part.error = &files.status(file);
    }
  }
  part.prefix_bytes = PartPrefixSize(View(part));
  return part;
}

void MessageDrafter::Measure(const PlannedResult& result, bool is_file_mapped, uint64_t room,
                             DraftPart& part) const {
  const uint64_t limit = std::min(room, result.end - part.offset_bytes);
  part.size_bytes = limit;
  if (!is_file_mapped || limit < kMinMappedBytes) return;
  const std::shared_ptr<const SlicePlan>& slice = plan_.slices[result.slice];
  if (slice->is_contiguous()) {
    part.is_mapped = true;
    return;
  }
  ChunkCursor cursor(slice, part.offset_bytes, part.offset_bytes + limit);
  uint64_t mapped = 0;
  for (;;) {
    const ChunkCursor::Run run = cursor.NextRun(limit - mapped);
    if (run.size_bytes < kMinMappedBytes) break;
    mapped += run.size_bytes;
    cursor.Skip(run.size_bytes);
  }
  if (mapped == 0) return;
  part.size_bytes = mapped;
  part.is_mapped = true;
}

void MessageDrafter::BoundWork(const PlannedResult& result, uint64_t work_room,
                               DraftPart& part) const {
  const std::shared_ptr<const SlicePlan>& slice = plan_.slices[result.slice];
  part.touched_bytes = TouchedBytes(*slice, part.size_bytes);
  if (part.touched_bytes <= work_room) return;
  const ChunkCursor cursor(slice, part.offset_bytes, result.end);
  const uint64_t hull_bytes = cursor.Hull(part.size_bytes).size_bytes;
  part.touched_bytes = std::min(hull_bytes, work_room);
  if (hull_bytes <= work_room) return;
  // By the page if need be, and more where runs lie so close that they share pages.
  const uint64_t num_runs = work_room / (slice->run_bytes() + kPageBytes);
  const uint64_t by_page = std::max<uint64_t>(1, num_runs * slice->run_bytes());
  const uint64_t by_hull =
      static_cast<uint64_t>(static_cast<double>(part.size_bytes) * static_cast<double>(work_room) /
                            static_cast<double>(hull_bytes));
  const bool is_dense = by_hull > by_page && cursor.Hull(by_hull).size_bytes <= work_room;
  part.size_bytes = std::min(part.size_bytes, is_dense ? by_hull : by_page);
}

TensorPartView MessageDrafter::View(const DraftPart& part) const {
  const PlannedResult& result = plan_.results[part.index];
  TensorPartView view;
  view.result = result.result;
  view.offset_bytes = part.offset_bytes;
  view.data_bytes = part.size_bytes;
  view.has_crc32c = options_.checksum && !options_.plan_only && part.error == nullptr;
  if (part.has_header) {
    view.header = TensorHeaderView{plan_.layouts[result.slice], result.name, result.selection};
  }
  if (part.error != nullptr) {
    view.error =
        ResultErrorView{static_cast<int32_t>(part.error->code()),
                        static_cast<int32_t>(ReasonOf(*part.error)), part.error->message()};
  }
  return view;
}

}  // namespace tensord
