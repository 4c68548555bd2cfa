// Runs one stream of TensorChunks into an assembler.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/chunk_assembler.h"
#include "client/chunk_size.h"
#include "client/connection.h"
#include "tensord/destination.h"

namespace tensord {

// What every streaming request has besides its own.
template <typename Request>
void SetCommonFields(const Connection& connection, const std::string& model,
                     const std::string& version, const ChunkSize& chunk, Request& request) {
  request.set_model(model);
  request.set_version(version);
  request.set_chunk_bytes(chunk.bytes());
  request.set_checksum(connection.options().checksum);
}

// One attempt; `request` is the encoded message. OK: every result is complete. Otherwise what a
// result failed with, where the server said so, else what ended the stream. `on_progress` is called
// after each message.
AttemptEnd ReadStream(
    const Connection& connection, const Call& call, absl::string_view method,
    absl::string_view request, ChunkAssembler& assembler,
    absl::FunctionRef<void()> on_progress = [] {});

// DATA_LOSS unless `header` is of this tensor and selection.
absl::Status CheckIdentity(const ResultHeader& header, absl::string_view tensor,
                           uint32_t selection);

// For all bytes of the result. INVALID_ARGUMENT as DestinationWriter; UNIMPLEMENTED for strides on
// a dtype this build does not know.
absl::StatusOr<DestinationWriter> MakeWriter(const Destination& destination,
                                             const ResultHeader& header);

}  // namespace tensord
