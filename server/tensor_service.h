// The service `tensord.v1.TensorStore`.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "server/access.h"
#include "server/active_streams.h"
#include "server/call_context.h"
#include "server/catalog_view.h"
#include "server/chunk_stream.h"
#include "server/file_faults.h"
#include "server/io_pool.h"
#include "server/plan_budget.h"
#include "server/stall_watch.h"
#include "server/turn_queue.h"
#include "server/work_queue.h"
#include "src/live_catalog.h"
#include "tensord/v1/tensord.grpc.pb.h"

namespace tensord {

namespace internal {

// All methods get bytes. The streaming ones put their answers together by hand, so that file data
// need no copy; the unary ones answer bytes that are no request themselves, because gRPC would do
// so without a reason.
template <typename Base>
using WithUnaryMethods = v1::TensorStore::WithRawCallbackMethod_ListModels<
    v1::TensorStore::WithRawCallbackMethod_ListTensors<
        v1::TensorStore::WithRawCallbackMethod_GetMetadata<
            v1::TensorStore::WithRawCallbackMethod_PeekTensor<Base>>>>;
template <typename Base>
using WithStreamingMethods = v1::TensorStore::WithRawCallbackMethod_GetTensor<
    v1::TensorStore::WithRawCallbackMethod_GetSlice<
        v1::TensorStore::WithRawCallbackMethod_GetTensors<
            v1::TensorStore::WithRawCallbackMethod_ReadFile<Base>>>>;

}  // namespace internal

// Translates calls: to the catalog of the moment, one for the whole call, and back. Thread-safe.
class TensorService final
    : public internal::WithUnaryMethods<internal::WithStreamingMethods<v1::TensorStore::Service>> {
 public:
  struct Options {
    uint32_t chunk_bytes = 0;  // What a request gets that does not ask.
    ActiveStreams::Limits streams;
    std::chrono::milliseconds stall_timeout{0};  // 0: none.
    std::shared_ptr<BufferBudget> buffers;
    std::shared_ptr<BufferBudget> answer_buffers;  // Of unary calls.
    size_t max_turns = 1;                          // Messages that are put together at once.
    IoPool* io = nullptr;                          // Outlives the service.
    FileFaults* faults = nullptr;                  // Null, or outlives the service.
    CallObserver* observer = nullptr;              // Of every call; outlives the service.
  };

  // `catalog`, `access` and `queue` must outlive the service.
  TensorService(const LiveCatalog* catalog, const Access* access, WorkQueue* queue,
                const Options& options)
      : streams_(options.streams),
        answers_({kMaxAnswers, kMaxAnswers}),
        answer_buffers_(options.answer_buffers),
        stall_watch_(&streams_, options.stall_timeout),
        answers_watch_(&answers_, options.stall_timeout),
        turns_(options.buffers, options.max_turns),
        catalog_(catalog),
        access_(access),
        workers_{queue, &turns_, options.io},
        faults_(options.faults),
        chunk_bytes_(options.chunk_bytes),
        observer_(options.observer) {}

  const ActiveStreams& streams() const { return streams_; }
  const TurnQueue& turns() const { return turns_; }

  // See ActiveStreams::Drain; new streams are answered UNAVAILABLE (DRAINING).
  size_t Drain(std::chrono::steady_clock::time_point deadline) { return streams_.Drain(deadline); }

 private:
  using Context = grpc::CallbackServerContext;
  using Stream = grpc::ServerWriteReactor<grpc::ByteBuffer>;

  grpc::ServerUnaryReactor* ListModels(Context* context, const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListTensors(Context* context, const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* GetMetadata(Context* context, const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* PeekTensor(Context* context, const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;
  Stream* GetTensor(Context* context, const grpc::ByteBuffer* request) override;
  Stream* GetSlice(Context* context, const grpc::ByteBuffer* request) override;
  Stream* GetTensors(Context* context, const grpc::ByteBuffer* request) override;
  Stream* ReadFile(Context* context, const grpc::ByteBuffer* request) override;

  // What every call begins with: who asks, which the call's record is told of.
  absl::StatusOr<Caller> Identify(CallContext& call) const;
  // The same for a unary call; DRAINING once Drain has been called.
  absl::StatusOr<Caller> AdmitUnary(CallContext& call) const;

  template <typename Request>
  struct UnaryCall;

  // Answers a unary call with what `function` makes of its request.
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* Answer(CallMethod method, Context* context,
                                   absl::StatusOr<Response> (*function)(const CatalogView&,
                                                                        const Request&),
                                   const grpc::ByteBuffer& request, grpc::ByteBuffer* response);
  // Calls `run(call)` for a shared UnaryCall; where headers have to be read, in the pool.
  template <typename Request, typename Run>
  grpc::ServerUnaryReactor* Ask(CallMethod method, Context* context,
                                const grpc::ByteBuffer& request, grpc::ByteBuffer* response,
                                Run run);

  // Begins a stream of what `open(catalog, request, record)` produces.
  template <typename Request, typename Open>
  Stream* Begin(CallMethod method, Context* context, const grpc::ByteBuffer& request, Open open);
  // Begins a stream of what `make_producer(caller, request, record, wait)` returns; not called
  // where there is no room for one. Called again in the pool, with `wait` null, if it sets that.
  template <typename MakeProducer>
  Stream* Begin(CallMethod method, Context* context, const grpc::ByteBuffer& request,
                MakeProducer make_producer);

  // Their memory is the limit.
  static constexpr size_t kMaxAnswers = 4096;

  ActiveStreams streams_;
  ActiveStreams answers_;  // Of unary calls, those of more than a few lines.
  const std::shared_ptr<BufferBudget> answer_buffers_;
  PlanBudget plans_;
  const StallWatch stall_watch_;
  const StallWatch answers_watch_;
  TurnQueue turns_;
  const LiveCatalog* const catalog_;
  const Access* const access_;
  const ChunkStream::Workers workers_;
  FileFaults* const faults_;
  const uint32_t chunk_bytes_;
  CallObserver* const observer_;
};

}  // namespace tensord
