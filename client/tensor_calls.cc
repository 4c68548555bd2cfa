#include "client/tensor_calls.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/batch_calls.h"
#include "client/chunk_assembler.h"
#include "client/slice_index.h"
#include "client/tensor_stream.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// One result, over as many streams as it takes.
class ResultReader {
 public:
  using Place = ChunkAssembler::Place;

  ResultReader(const Connection& connection, const Call& call, const TensorRead& read,
               const Place& place)
      : connection_(connection),
        call_(call),
        read_(read),
        place_(place),
        chunk_(connection.options().chunk_bytes),
        version_(call.version) {}

  // The model's id and version, once it is complete.
  absl::StatusOr<ChunkStreamInfo> Read() {
    TENSORD_RETURN_IF_ERROR(connection_.Retry(
        call_, [&] { return ReadOnce(); }, [&] { return target_.first; }));
    return info_;
  }

 private:
  // From the byte on where the stream before broke.
  AttemptEnd ReadOnce() {
    StreamExpectation expectation;
    expectation.num_results = 1;
    expectation.version = version_;
    expectation.checksum = connection_.options().checksum;
    ChunkAssembler assembler(expectation,
                             [&](const ResultHeader& header) { return PlaceRest(header); });
    const AttemptEnd end = Send(assembler);
    target_.first += assembler.bytes_received();
    chunk_.Learn(end.status, assembler.bytes_received());
    if (!assembler.info().version.empty()) {
      info_ = assembler.info();
      version_ = info_.version;
    }
    return end;
  }

  AttemptEnd Send(ChunkAssembler& assembler) const {
    if (read_.slice.dims.empty() && !read_.slice.ellipsis) {
      v1::GetTensorRequest request;
      Fill(request);
      return ReadStream(connection_, call_, "GetTensor", request.SerializeAsString(), assembler);
    }
    v1::GetSliceRequest request;
    Fill(request);
    const absl::Status fits = SetIndex(read_.slice, request);
    if (!fits.ok()) return {fits, /*is_final=*/true};
    return ReadStream(connection_, call_, "GetSlice", request.SerializeAsString(), assembler);
  }

  template <typename Request>
  void Fill(Request& request) const {
    SetCommonFields(connection_, read_.model, version_, chunk_, request);
    request.set_tensor(read_.tensor);
    if (target_.first > 0) request.mutable_range()->set_offset(target_.first);
  }

  absl::StatusOr<ResultPlace> PlaceRest(const ResultHeader& header) {
    if (header_ && *header_ != *header.header) {
      return absl::DataLossError(
          "the server contradicts itself: a resumed result has another dtype or shape");
    }
    if (!header_) {
      TENSORD_RETURN_IF_ERROR(CheckIdentity(header, read_.tensor, 0));
      TENSORD_ASSIGN_OR_RETURN(target_, place_(header));
      header_ = *header.header;
    }
    return target_;
  }

  const Connection& connection_;
  const Call& call_;
  const TensorRead& read_;
  const Place& place_;
  ChunkSize chunk_;
  std::string version_;  // Of all streams, from the first answer on.
  std::optional<ChunkHeader> header_;
  ResultPlace target_;  // Where it goes, and from which byte on it is missing.
  ChunkStreamInfo info_;
};

absl::Status NoSuchDtype(absl::string_view dtype) {
  return absl::UnimplementedError(
      absl::StrCat("this build does not know the dtype ", Quote(dtype)));
}

absl::StatusOr<TensorData> GetByOneStream(const Connection& connection, const Call& call,
                                          const TensorRead& read) {
  TensorData data;
  const auto place = [&](const ResultHeader& header) -> absl::StatusOr<ResultPlace> {
    if (!header.dtype) return NoSuchDtype(header.header->dtype);
    data.dtype = *header.dtype;
    data.shape = header.header->shape;
    TENSORD_ASSIGN_OR_RETURN(data.data, AlignedBuffer::Allocate(header.header->size_bytes));
    ResultPlace result;
    TENSORD_ASSIGN_OR_RETURN(result.writer,
                             DestinationWriter::Dense(data.bytes(), header.header->size_bytes));
    return result;
  };
  TENSORD_ASSIGN_OR_RETURN(ChunkStreamInfo info,
                           ResultReader(connection, call, read, place).Read());
  data.name = read.tensor;
  data.model = std::move(info.model);
  data.version = std::move(info.version);
  return data;
}

}  // namespace

absl::StatusOr<TensorData> GetSlice(const Connections& connections, const Call& call,
                                    const TensorRead& read) {
  if (connections.size() == 1) return GetByOneStream(connections.Next(), call, read);
  Call pinned = call;
  TENSORD_ASSIGN_OR_RETURN(const PinnedPlan plan, PlanPinned(connections.Next(), call, read.model,
                                                             {{read.tensor, "", read.slice}}));
  if (plan.reads.size() != 1) {
    return absl::DataLossError(absl::StrCat("the server contradicts itself: one tensor is ",
                                            plan.reads.size(), " results"));
  }
  pinned.version = plan.version;
  const PlannedRead& result = plan.reads.front();
  if (result.size_bytes < kMinStripedBytes) {
    return GetByOneStream(connections.Next(), pinned, read);
  }
  TensorData data{read.tensor, plan.model, plan.version, result.dtype, result.shape, {}};
  TENSORD_ASSIGN_OR_RETURN(data.data, AlignedBuffer::Allocate(result.size_bytes));
  TENSORD_RETURN_IF_ERROR(ReadSlice(connections, pinned, read, Destination(data.bytes())));
  return data;
}

absl::Status ReadSlice(const Connections& connections, const Call& call, const TensorRead& read,
                       const Destination& destination) {
  if (connections.size() > 1 && destination.bytes.size() >= kMinStripedBytes) {
    const ReadRequest request{read.tensor, read.slice, {}, destination};
    TENSORD_ASSIGN_OR_RETURN(const ReadReport report,
                             ReadMany(connections, call, read.model, {&request, 1}, nullptr));
    return report.failures.empty() ? absl::OkStatus() : report.failures.front().status;
  }
  const auto place = [&](const ResultHeader& header) -> absl::StatusOr<ResultPlace> {
    ResultPlace result;
    TENSORD_ASSIGN_OR_RETURN(result.writer, MakeWriter(destination, header));
    return result;
  };
  return ResultReader(connections.Next(), call, read, place).Read().status();
}

}  // namespace tensord
