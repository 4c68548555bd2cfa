#include "client/tensor_calls.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/chunk_assembler.h"
#include "client/slice_index.h"
#include "client/tensor_stream.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

absl::Status Read(const Connection& connection, const Call& call, const TensorRead& read,
                  ChunkAssembler& assembler) {
  if (read.slice.dims.empty() && !read.slice.ellipsis) {
    v1::GetTensorRequest request;
    SetCommonFields(connection, read.model, call.version, request);
    request.set_tensor(read.tensor);
    return ReadStream(connection, call, "GetTensor", request.SerializeAsString(), assembler);
  }
  v1::GetSliceRequest request;
  SetCommonFields(connection, read.model, call.version, request);
  request.set_tensor(read.tensor);
  TENSORD_RETURN_IF_ERROR(SetIndex(read.slice, request));
  return ReadStream(connection, call, "GetSlice", request.SerializeAsString(), assembler);
}

StreamExpectation OneResult(const Connection& connection, const Call& call) {
  StreamExpectation expectation;
  expectation.num_results = 1;
  expectation.version = call.version;
  expectation.checksum = connection.options().checksum;
  return expectation;
}

}  // namespace

absl::StatusOr<TensorData> GetSlice(const Connection& connection, const Call& call,
                                    const TensorRead& read) {
  TensorData data;
  ChunkAssembler assembler(
      OneResult(connection, call), [&](const ResultHeader& header) -> absl::StatusOr<ResultPlace> {
        TENSORD_RETURN_IF_ERROR(CheckIdentity(header, read.tensor, 0));
        if (!header.dtype) {
          return absl::UnimplementedError(
              absl::StrCat("this build does not know the dtype ", Quote(header.header->dtype)));
        }
        data.dtype = *header.dtype;
        data.shape = header.header->shape;
        TENSORD_ASSIGN_OR_RETURN(data.data, AlignedBuffer::Allocate(header.header->size_bytes));
        ResultPlace place;
        TENSORD_ASSIGN_OR_RETURN(place.writer,
                                 DestinationWriter::Dense(data.bytes(), header.header->size_bytes));
        return place;
      });
  TENSORD_RETURN_IF_ERROR(Read(connection, call, read, assembler));
  data.name = read.tensor;
  data.model = assembler.info().model;
  data.version = assembler.info().version;
  return data;
}

absl::Status ReadSlice(const Connection& connection, const Call& call, const TensorRead& read,
                       const Destination& destination) {
  ChunkAssembler assembler(
      OneResult(connection, call), [&](const ResultHeader& header) -> absl::StatusOr<ResultPlace> {
        TENSORD_RETURN_IF_ERROR(CheckIdentity(header, read.tensor, 0));
        ResultPlace place;
        TENSORD_ASSIGN_OR_RETURN(place.writer, MakeWriter(destination, header));
        return place;
      });
  return Read(connection, call, read, assembler);
}

}  // namespace tensord
