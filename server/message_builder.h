// Puts a message together out of bytes written here and memory that is mapped.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "server/buffer_budget.h"
#include "server/drain_gate.h"
#include "src/served_file.h"

namespace tensord {

// A message is a list of slices: pieces of one buffer of ours, with mapped memory between them.
class MessageBuilder {
 public:
  // Up to here a message's own memory need not come from the budget: as much as gRPC itself takes
  // for a call, and bounded as the number of calls is.
  static constexpr size_t kMaxUncountedBytes = 2048;

  // `own_bytes`: how much Own will hand out in all, exactly. `buffer`: where it lies, at least as
  // large, or empty; it is returned when gRPC has let go of the message, not when it is "written".
  // What lies behind `own_bytes` is returned by Build.
  MessageBuilder(size_t own_bytes, BufferBudget::Buffer buffer);
  MessageBuilder(const MessageBuilder&) = delete;
  MessageBuilder& operator=(const MessageBuilder&) = delete;

  // The next `size_bytes` of the message, not initialised; to be filled before the next Append or
  // Build, which may copy small pieces.
  absl::Span<std::byte> Own(size_t size_bytes);

  // Puts `bytes` of `file` behind what is there, without a copy. The mapping and `gate` are held
  // until gRPC has let go of them: its "write done" comes before the socket has read the bytes.
  void Append(std::shared_ptr<const ServedFile> file, absl::Span<const std::byte> bytes,
              std::shared_ptr<DrainGate> gate);

  grpc::ByteBuffer Build();

  // Memory for the work that the message takes, until Build: what of the buffer it does not need.
  absl::Span<std::byte> scratch() const { return scratch_; }

 private:
  // Closes the piece of our buffer that was handed out since the last mapped slice.
  void Cut();

  BufferBudget::Buffer* const buffer_;  // Owned by `own_`; null where there is none.
  const absl::Span<std::byte> scratch_;
  grpc::Slice own_;
  size_t used_ = 0;
  size_t cut_ = 0;  // Up to here `own_` stands in `slices_`; below or equal to `used_`.
  std::vector<grpc::Slice> slices_;
};

}  // namespace tensord
