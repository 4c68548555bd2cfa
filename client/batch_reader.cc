#include "client/batch_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/tensor_stream.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

absl::StatusOr<bool> AddTo(BatchRequest& request, const ReadRequest& read, const ReadPiece& piece) {
  if (read.range && !read.destination.byte_strides.empty()) {
    return absl::InvalidArgumentError("a range of bytes cannot be placed by strides");
  }
  ByteRange range = read.range.value_or(ByteRange());
  const std::optional<uint64_t> end = piece.end ? piece.end : range.length;
  range.offset += piece.first;
  if (end) range.length = *end - piece.first;
  const bool has_range = read.range || !piece.IsWhole();
  return request.Add(
      {read.tensor, /*is_pattern=*/false, &read.slice, has_range ? &range : nullptr});
}

absl::StatusOr<ResultPlace> PlaceOf(const ReadRequest& request, const ResultHeader& header) {
  ResultPlace place;
  if (!request.range) {
    TENSORD_ASSIGN_OR_RETURN(place.writer, MakeWriter(request.destination, header));
    return place;
  }
  const uint64_t size = header.header->size_bytes;
  place.begin = request.range->offset;
  if (place.begin > size) {
    return absl::DataLossError(absl::StrCat("the server contradicts itself: a result of ", size,
                                            " bytes has none at ", place.begin));
  }
  const uint64_t length = request.range->length.value_or(size - place.begin);
  TENSORD_ASSIGN_OR_RETURN(place.writer,
                           DestinationWriter::Dense(request.destination.bytes, length));
  return place;
}

}  // namespace

void BatchState::SetSize(size_t request, uint64_t size_bytes) {
  MutexLock lock(mutex_);
  sizes_[request] = size_bytes;
}

uint64_t BatchState::size(size_t request) const {
  MutexLock lock(mutex_);
  return sizes_[request];
}

void BatchState::SetFailed(size_t request, const absl::Status& status) {
  MutexLock lock(mutex_);
  failures_.emplace(request, status);
}

void BatchState::Add(uint64_t bytes, size_t requests) {
  if (!progress_) return;
  MutexLock lock(progress_mutex_);
  shown_.bytes += bytes;
  shown_.requests = std::min(shown_.requests + requests, shown_.num_requests);
  progress_(shown_);
}

ReadReport BatchState::Report() const {
  MutexLock lock(mutex_);
  ReadReport report;
  for (size_t i = 0; i < sizes_.size(); ++i) {
    if (failures_.count(i) == 0) report.bytes += sizes_[i];
  }
  for (const auto& [request, status] : failures_) report.failures.push_back({request, status});
  return report;
}

BatchReader::BatchReader(const Connection& connection, const Call& call, const std::string& model,
                         std::string version, BatchState& state, std::vector<ReadPiece> pieces)
    : connection_(connection),
      call_(call),
      model_(model),
      state_(state),
      missing_(std::move(pieces)),
      chunk_(connection.options().chunk_bytes),
      version_(std::move(version)) {}

absl::Status BatchReader::Read() {
  while (next_ < missing_.size()) {
    TENSORD_RETURN_IF_ERROR(connection_.Retry(
        call_, [&] { return ReadOnce(); }, [&] { return bytes_; }));
  }
  return absl::OkStatus();
}

AttemptEnd BatchReader::ReadOnce() {
  const absl::StatusOr<BatchRequest> request = NextRequest();
  if (!request.ok()) return {request.status(), /*is_final=*/true};
  const size_t count = request->num_selections();
  StreamExpectation expectation;
  expectation.num_results = static_cast<uint32_t>(count);
  expectation.version = version_;
  expectation.checksum = connection_.options().checksum;
  ChunkAssembler assembler(expectation, [&](const ResultHeader& header) { return Place(header); });
  FindHeads(count);
  shown_bytes_ = shown_requests_ = 0;
  AttemptEnd end = ReadStream(connection_, call_, "GetTensors", request->bytes(), assembler,
                              [&] { ShowProgress(assembler); });
  bytes_ += assembler.bytes_received();
  chunk_.Learn(end.status, assembler.bytes_received());
  if (!assembler.info().version.empty()) {
    model_id_ = assembler.info().model;
    version_ = assembler.info().version;
  }
  if (end.status.ok()) {
    next_ += count;
    return end;
  }
  // A file that fails ends no batch: what stands beside it is confirmed by the next stream.
  const bool is_of_files =
      !assembler.failures().empty() && end.status == assembler.failures().front().status;
  const std::string place = absl::StrCat("in requests ", missing_[next_].request, " to ",
                                         missing_[next_ + count - 1].request);
  if (!end.is_final || is_of_files) KeepParts(assembler, count);
  if (is_of_files || missing_.empty()) return {absl::OkStatus()};
  // The server counts selections within its message; with several messages that needs a base.
  if (count != state_.num_requests()) end.status = Annotate(end.status, place);
  return end;
}

absl::StatusOr<BatchRequest> BatchReader::NextRequest() const {
  v1::GetTensorsRequest common;
  SetCommonFields(connection_, model_, version_, chunk_, common);
  BatchRequest request(common);
  for (size_t i = next_; i < missing_.size(); ++i) {
    const ReadPiece& piece = missing_[i];
    const absl::StatusOr<bool> added = AddTo(request, state_.request(piece.request), piece);
    if (!added.ok()) return Annotate(added.status(), Name(i));
    if (!*added) break;
  }
  return request;
}

absl::StatusOr<ResultPlace> BatchReader::Place(const ResultHeader& header) {
  const size_t i = next_ + header.result;
  const ReadPiece& piece = missing_[i];
  const ReadRequest& request = state_.request(piece.request);
  TENSORD_RETURN_IF_ERROR(CheckIdentity(header, request.tensor, header.result));
  absl::StatusOr<ResultPlace> place = PlaceOf(request, header);
  if (!place.ok()) return Annotate(place.status(), Name(i));
  state_.SetSize(piece.request, place->writer.size_bytes());
  place->first = piece.first;
  place->end = piece.end;
  return place;
}

void BatchReader::FindHeads(size_t count) {
  heads_.clear();
  for (uint32_t i = 0; i < count; ++i) {
    const ReadPiece& piece = missing_[next_ + i];
    const uint64_t size = state_.request(piece.request).destination.bytes.size();
    if (piece.end && *piece.end < size) heads_.push_back(i);
  }
}

void BatchReader::ShowProgress(const ChunkAssembler& assembler) {
  size_t requests = assembler.num_complete();
  for (const uint32_t head : heads_) requests -= assembler.IsComplete(head) ? 1 : 0;
  const size_t more = requests > shown_requests_ ? requests - shown_requests_ : 0;
  state_.Add(assembler.bytes_received() - shown_bytes_, more);
  shown_bytes_ = assembler.bytes_received();
  shown_requests_ += more;
}

void BatchReader::KeepParts(const ChunkAssembler& assembler, size_t count) {
  std::map<uint32_t, const absl::Status*> failed;
  for (const auto& failure : assembler.failures()) failed[failure.result] = &failure.status;
  std::vector<ReadPiece> rest;
  std::optional<ReadPiece> complete;
  for (uint32_t i = 0; i < count; ++i) {
    ReadPiece piece = missing_[next_ + i];
    const auto failure = failed.find(i);
    if (failure != failed.end()) {
      state_.SetFailed(piece.request, *failure->second);
    } else if (assembler.IsComplete(i)) {
      complete = piece;
    } else {
      if (assembler.open() && assembler.open()->result == i) piece.first = assembler.open()->next;
      rest.push_back(piece);
    }
  }
  const bool is_last = next_ + count == missing_.size();
  if (rest.empty() && is_last && complete) {
    // An empty range of the same version is what confirms the others.
    complete->first = complete->end.value_or(state_.size(complete->request));
    rest.push_back(*complete);
  }
  missing_.erase(missing_.begin(), missing_.begin() + static_cast<std::ptrdiff_t>(next_ + count));
  missing_.insert(missing_.begin(), rest.begin(), rest.end());
  next_ = 0;
}

std::string BatchReader::Name(size_t piece) const {
  const size_t request = missing_[piece].request;
  return absl::StrCat("request ", request, " (", Quote(state_.request(request).tensor), ")");
}

}  // namespace tensord
