#include "client/tensor_stream.h"

#include "absl/strings/str_cat.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {

AttemptEnd ReadStream(const Connection& connection, const Call& call, absl::string_view method,
                      absl::string_view request, ChunkAssembler& assembler,
                      absl::FunctionRef<void()> on_progress) {
  AttemptEnd end =
      connection.Stream(method, request, call, [&](PieceCursor message) -> absl::Status {
        TENSORD_RETURN_IF_ERROR(assembler.Add(message));
        on_progress();
        return absl::OkStatus();
      });
  call.counters->bytes_received += assembler.bytes_received();
  if (end.status.ok()) end.status = assembler.Finish();
  if (absl::IsDataLoss(end.status) && !assembler.failures().empty()) {
    return {assembler.failures().front().status, /*is_final=*/true};
  }
  return end;
}

absl::Status CheckIdentity(const ResultHeader& header, absl::string_view tensor,
                           uint32_t selection) {
  if (header.header->tensor != tensor) {
    return absl::DataLossError(absl::StrCat("the server contradicts itself: result ", header.result,
                                            " is tensor ", Quote(header.header->tensor),
                                            ", asked for was ", Quote(tensor)));
  }
  if (header.header->selection != selection) {
    return absl::DataLossError(absl::StrCat("the server contradicts itself: result ", header.result,
                                            " is of selection ", header.header->selection,
                                            ", wanted is ", selection));
  }
  return absl::OkStatus();
}

absl::StatusOr<DestinationWriter> MakeWriter(const Destination& destination,
                                             const ResultHeader& header) {
  if (destination.byte_strides.empty()) {
    return DestinationWriter::Dense(destination.bytes, header.header->size_bytes);
  }
  if (!header.dtype) {
    return absl::UnimplementedError(absl::StrCat("this build does not know the dtype ",
                                                 Quote(header.header->dtype),
                                                 " and cannot place it by strides"));
  }
  return DestinationWriter::Strided(destination, *header.dtype, header.header->shape);
}

}  // namespace tensord
