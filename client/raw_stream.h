// A server's stream as raw bytes, without generated messages between network and reader.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/piece_cursor.h"

namespace tensord {

// One call in progress, used by one thread, which also does the network's work while it waits: the
// fastest way to read with gRPC, and with public API only. Read until nothing comes or the context
// was cancelled, then Finish once.
class RawStream {
 public:
  // Starts the call. `context` and `stub` must outlive the stream.
  RawStream(grpc::GenericStub& stub, grpc::ClientContext& context, const std::string& method,
            absl::string_view request);
  ~RawStream();
  RawStream(const RawStream&) = delete;
  RawStream& operator=(const RawStream&) = delete;

  // The next message, whose bytes live until the next call; nullopt at the end of the stream. The
  // one after it is asked for already, so that it comes while this one is used.
  std::optional<PieceCursor> Read();

  // The call's status, after the end of the stream or a cancellation. Ends what is being read.
  grpc::Status Finish();

 private:
  void StartRead();
  // Waits until the one operation in progress is done; whether it succeeded.
  bool Wait();

  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;

  // The message that is being read, while there is one.
  grpc::ByteBuffer next_;
  bool is_reading_ = false;

  // The message read last.
  grpc::ByteBuffer buffer_;
  std::vector<grpc::Slice> slices_;
  std::vector<absl::string_view> pieces_;
};

}  // namespace tensord
