// The one reactor of all streaming RPCs.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/active_streams.h"
#include "server/call_context.h"
#include "server/chunk_producer.h"
#include "server/drain_gate.h"
#include "server/io_pool.h"
#include "server/turn_queue.h"
#include "server/work_queue.h"

namespace tensord {

// Sends what a producer makes, one write outstanding at a time, at the pace of the client. Owns
// itself: deleted by gRPC's OnDone, which comes only after the stream has called Finish.
//
// Initial metadata leaves with the first message and never alone, so that a call that fails before
// its first byte can still be retried. No write hints are used: on the first message they hang
// gRPC 1.51.
class ChunkStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  // What streams share; all of it outlives them.
  struct Workers {
    WorkQueue* queue = nullptr;
    TurnQueue* turns = nullptr;
    IoPool* io = nullptr;
  };

  // Begins at once; an error in place of a producer is the call's answer. `token` is given back
  // when gRPC has taken the status.
  ChunkStream(std::shared_ptr<CallContext> call,
              absl::StatusOr<std::unique_ptr<ChunkProducer>> producer, ActiveStreams::Token token,
              const Workers& workers);

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

  // At once; or where that is heavy, when it is the stream's turn; or where a file has to be waited
  // for, in the pool.
  void WriteNext();
  // Runs `work` in the pool, unless the call is cancelled before its turn comes.
  void WaitFor(const FilePlace& place, std::function<void()> work);
  // Has the pool fetch what the stream will want later. Nobody waits for it.
  static void FetchAhead(IoPool& io, const ChunkProducer::Needs& needs);
  // In the pool: with memory that is taken only now, so that who waits for a file holds none.
  void ReadNext(const ChunkProducer::Needs& needs);
  TurnQueue::Work WorkOf(const ChunkProducer::Needs& needs,
                         std::function<void(TurnQueue::Turn)> run) const;
  void Produce(TurnQueue::Turn turn);
  void TellSent();
  // Mapped memory is checked once more when the network has let go of it, and only then is the
  // stream OK.
  void FinishWhenDrained();
  void FinishChecked();
  void End(const absl::Status& status);
  void AddTrailers();

  ActiveStreams::Token token_;
  const std::shared_ptr<CallContext> call_;
  std::unique_ptr<ChunkProducer> producer_;
  const std::shared_ptr<DrainGate> gate_;
  TurnQueue* const turns_;
  IoPool* const io_;
  std::atomic<bool> cancelled_{false};
  bool has_written_ = false;
  ChunkProducer::Chunk chunk_;  // What is being written.
};

}  // namespace tensord
