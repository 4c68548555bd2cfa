// What a client got from a stream of TensorChunk, held to the rules of the proto.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tensord/v1/tensord.grpc.pb.h"

namespace tensord {

struct ReceivedResult {
  uint32_t result = 0;
  v1::TensorHeader header;
  uint64_t begin = 0;  // Where the first part's data begin.
  std::string data;
  size_t num_parts = 0;
  std::optional<v1::ResultError> error;
};

struct ReceivedStream {
  v1::StreamInfo info;
  std::vector<ReceivedResult> results;  // In the order in which they came.
  size_t num_messages = 0;
  size_t largest_message = 0;  // As it was encoded, in bytes.
  absl::Status status;
  uint64_t bytes_read = 0;  // Of the trailers.
  uint64_t bytes_sent = 0;

  // By the tensor's name; of several the last.
  std::map<std::string, ReceivedResult> ByName() const;
};

// Reads the stream to its end. Broken rules (a gap, an interleaving, a missing or second header or
// info, a wrong checksum, a checksum that was not asked for) are test failures.
ReceivedStream Receive(grpc::ClientContext& context,
                       std::unique_ptr<grpc::ClientReader<v1::TensorChunk>> reader,
                       bool checksum = false);

}  // namespace tensord
