#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/batch_calls.h"
#include "client/batch_request.h"
#include "client/chunk_assembler.h"
#include "client/tensor_stream.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

absl::StatusOr<bool> AddTo(BatchRequest& request, const ReadRequest& read) {
  if (read.range && !read.destination.byte_strides.empty()) {
    return absl::InvalidArgumentError("a range of bytes cannot be placed by strides");
  }
  return request.Add(
      {read.tensor, /*is_pattern=*/false, &read.slice, read.range ? &*read.range : nullptr});
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

// One call of ReadMany: knows which requests are still to be read.
class BatchReader {
 public:
  BatchReader(const Connection& connection, const Call& call, const std::string& model,
              absl::Span<const ReadRequest> requests, const ProgressCallback& progress)
      : connection_(connection),
        call_(call),
        model_(model),
        requests_(requests),
        progress_(progress),
        pending_(requests.size()) {
    std::iota(pending_.begin(), pending_.end(), size_t{0});
    report_.version = call.version;
  }

  absl::StatusOr<ReadReport> Read() {
    while (next_ < pending_.size()) TENSORD_RETURN_IF_ERROR(ReadBatch());
    std::sort(report_.failures.begin(), report_.failures.end(),
              [](const auto& a, const auto& b) { return a.request < b.request; });
    return std::move(report_);
  }

 private:
  // Reads pending requests from next_ on, as many as fit one message.
  absl::Status ReadBatch() {
    TENSORD_ASSIGN_OR_RETURN(const BatchRequest request, NextRequest());
    const size_t count = request.num_selections();
    StreamExpectation expectation;
    expectation.num_results = static_cast<uint32_t>(count);
    expectation.version = report_.version;
    expectation.checksum = connection_.options().checksum;
    ChunkAssembler assembler(expectation,
                             [&](const ResultHeader& header) { return Place(header); });
    const absl::Status status = ReadStream(connection_, call_, "GetTensors", request.bytes(),
                                           assembler, [&] { ShowProgress(assembler); });
    if (!assembler.info().version.empty()) {
      report_.model = assembler.info().model;
      report_.version = assembler.info().version;
    }
    if (status.ok()) {
      report_.bytes += assembler.bytes_received();
      num_complete_ += count;
      next_ += count;
      return absl::OkStatus();
    }
    return DropFailures(status, assembler, count);
  }

  absl::StatusOr<BatchRequest> NextRequest() const {
    v1::GetTensorsRequest common;
    SetCommonFields(connection_, model_, report_.version, common);
    BatchRequest request(common);
    for (size_t i = next_; i < pending_.size(); ++i) {
      const absl::StatusOr<bool> added = AddTo(request, Request(i));
      if (!added.ok()) return Annotate(added.status(), Name(i));
      if (!*added) break;
    }
    return request;
  }

  // The results beside a failed one count only with a final OK, which this stream had not: they are
  // read again, without those that failed.
  absl::Status DropFailures(const absl::Status& status, const ChunkAssembler& assembler,
                            size_t count) {
    if (assembler.failures().empty() || status != assembler.failures().front().status) {
      return OfBatch(status, count);
    }
    std::vector<size_t> dropped;
    for (const auto& failure : assembler.failures()) {
      const size_t position = next_ + failure.result;
      report_.failures.push_back({pending_[position], failure.status});
      dropped.push_back(pending_[position]);
    }
    std::sort(dropped.begin(), dropped.end());
    const auto begin = pending_.begin() + static_cast<std::ptrdiff_t>(next_);
    pending_.erase(std::remove_if(begin, begin + static_cast<std::ptrdiff_t>(count),
                                  [&](size_t request) {
                                    return std::binary_search(dropped.begin(), dropped.end(),
                                                              request);
                                  }),
                   begin + static_cast<std::ptrdiff_t>(count));
    return absl::OkStatus();
  }

  absl::StatusOr<ResultPlace> Place(const ResultHeader& header) {
    const size_t i = next_ + header.result;
    TENSORD_RETURN_IF_ERROR(CheckIdentity(header, Request(i).tensor, header.result));
    absl::StatusOr<ResultPlace> place = PlaceOf(Request(i), header);
    if (!place.ok()) return Annotate(place.status(), Name(i));
    return place;
  }

  void ShowProgress(const ChunkAssembler& assembler) {
    if (!progress_) return;
    shown_.bytes = std::max(shown_.bytes, report_.bytes + assembler.bytes_received());
    shown_.requests = std::max(shown_.requests, num_complete_ + assembler.num_complete());
    shown_.num_requests = requests_.size();
    progress_(shown_);
  }

  const ReadRequest& Request(size_t i) const { return requests_[pending_[i]]; }

  std::string Name(size_t i) const {
    return absl::StrCat("request ", pending_[i], " (", Quote(Request(i).tensor), ")");
  }

  // The server counts selections within its message; with several messages that needs a base.
  absl::Status OfBatch(const absl::Status& status, size_t count) const {
    if (count == requests_.size()) return status;
    return Annotate(
        status, absl::StrCat("in requests ", pending_[next_], " to ", pending_[next_ + count - 1]));
  }

  const Connection& connection_;
  const Call& call_;
  const std::string& model_;
  const absl::Span<const ReadRequest> requests_;
  const ProgressCallback& progress_;

  std::vector<size_t> pending_;  // Requests without those that failed.
  size_t next_ = 0;              // Into pending_: what stands before has been read.
  size_t num_complete_ = 0;
  ReadReport report_;
  ReadProgress shown_;
};

}  // namespace

absl::StatusOr<ReadReport> ReadMany(const Connection& connection, const Call& call,
                                    const std::string& model,
                                    absl::Span<const ReadRequest> requests,
                                    const ProgressCallback& progress) {
  return BatchReader(connection, call, model, requests, progress).Read();
}

}  // namespace tensord
