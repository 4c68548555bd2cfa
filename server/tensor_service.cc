#include "server/tensor_service.h"

#include <google/protobuf/arena.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "server/batch_request_view.h"
#include "server/call_canceller.h"
#include "server/chunk_options.h"
#include "server/chunk_stream.h"
#include "server/file_stream.h"
#include "server/get_metadata.h"
#include "server/list_models.h"
#include "server/list_tensors.h"
#include "server/peek_tensor.h"
#include "server/read_plan.h"
#include "server/tensor_stream.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using ProducerOr = absl::StatusOr<std::unique_ptr<ChunkProducer>>;

absl::StatusOr<std::shared_ptr<const Catalog>> Current(const LiveCatalog& live) {
  std::shared_ptr<const Catalog> catalog = live.Get();
  if (catalog != nullptr) return catalog;
  return MakeError(ErrorReason::kStarting, "the store is still being scanned");
}

// Parses the request of a method.
template <typename Request>
absl::Status Parse(const grpc::ByteBuffer& bytes, Request* request) {
  grpc::ByteBuffer copy(bytes);  // Of references; parsing consumes it.
  if (grpc::SerializationTraits<Request>::Deserialize(&copy, request).ok()) return absl::OkStatus();
  return MakeError(ErrorReason::kBadRequest, absl::StrCat("the request cannot be parsed as ",
                                                          Request::descriptor()->full_name()));
}

// What `function` makes of the request for `caller`.
template <typename Request, typename Response>
absl::StatusOr<Response> Ask(const LiveCatalog& live, const absl::StatusOr<Caller>& caller,
                             const grpc::ByteBuffer& bytes,
                             absl::StatusOr<Response> (*function)(const CatalogView&,
                                                                  const Request&)) {
  TENSORD_RETURN_IF_ERROR(caller.status());
  Request request;
  TENSORD_RETURN_IF_ERROR(Parse(bytes, &request));
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const Catalog> catalog, Current(live));
  return function(CatalogView(*catalog, *caller->models), request);
}

// Answers a unary call with it.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const LiveCatalog& live,
                                 const Access& access,
                                 absl::StatusOr<Response> (*function)(const CatalogView&,
                                                                      const Request&),
                                 const grpc::ByteBuffer& request, grpc::ByteBuffer* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const absl::StatusOr<Response> answer = Ask(live, access.Authorize(*context), request, function);
  grpc::Status status = ToGrpc(answer.status());
  if (answer.ok()) {
    bool owns_buffer = false;
    status = grpc::SerializationTraits<Response>::Serialize(*answer, response, &owns_buffer);
  }
  reactor->Finish(status);
  return reactor;
}

// Parses the request of a streaming method and makes its producer with `open(catalog, request)`.
template <typename Request, typename Open>
ProducerOr Produce(const LiveCatalog& live, const Caller& caller, const grpc::ByteBuffer& bytes,
                   Open open) {
  google::protobuf::Arena arena;  // A batch has many small messages.
  auto* const request = google::protobuf::Arena::CreateMessage<Request>(&arena);
  TENSORD_RETURN_IF_ERROR(Parse(bytes, request));
  TENSORD_RETURN_IF_ERROR(CheckNoUnknownFields(*request));
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const Catalog> catalog, Current(live));
  return open(CatalogView(*catalog, *caller.models), *request);
}

// The same for a batch, which is read where it lies.
template <typename Open>
ProducerOr ProduceBatch(const LiveCatalog& live, const Caller& caller,
                        const grpc::ByteBuffer& bytes, Open open) {
  grpc::Slice slice;
  if (!bytes.DumpToSingleSlice(&slice).ok()) {
    return MakeError(ErrorReason::kBadRequest, "the request cannot be read");
  }
  const absl::string_view text(reinterpret_cast<const char*>(slice.begin()), slice.size());
  std::optional<BatchRequestView> request = BatchRequestView::Read(text);
  std::string canonical;
  if (!request) {
    TENSORD_ASSIGN_OR_RETURN(canonical, CanonicalBatchRequest(text));
    request = BatchRequestView::Read(canonical);
    if (!request) return MakeError(ErrorReason::kBadRequest, "the request cannot be read");
  }
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const Catalog> catalog, Current(live));
  return open(CatalogView(*catalog, *caller.models), *request);
}

// The options that all tensor requests share.
template <typename Request>
MessageDrafter::Options MessageOptions(const Request& request, uint32_t default_chunk_bytes) {
  return {.chunk_bytes = ClampChunkBytes(request.chunk_bytes(), default_chunk_bytes),
          .checksum = request.checksum(),
          .plan_only = false};
}

template <typename Request>
ProducerOr OpenSingle(const CatalogView& catalog, const Request& request, uint32_t chunk_bytes) {
  TENSORD_ASSIGN_OR_RETURN(ReadPlan plan, PlanRead(catalog, request));
  return std::make_unique<TensorStream>(
      std::move(plan),
      TensorStream::Options{MessageOptions(request, chunk_bytes), /*isolate_failures=*/false});
}

ProducerOr OpenBatch(const CatalogView& catalog, const BatchRequestView& request,
                     uint32_t chunk_bytes) {
  TENSORD_ASSIGN_OR_RETURN(ReadPlan plan, PlanRead(catalog, request));
  TensorStream::Options options{MessageOptions(request, chunk_bytes), /*isolate_failures=*/true};
  options.messages.plan_only = request.plan_only();
  return std::make_unique<TensorStream>(std::move(plan), options);
}

}  // namespace

grpc::ServerUnaryReactor* TensorService::ListModels(Context* context,
                                                    const grpc::ByteBuffer* request,
                                                    grpc::ByteBuffer* response) {
  return Answer(context, *catalog_, *access_, &tensord::ListModels, *request, response);
}

grpc::ServerUnaryReactor* TensorService::ListTensors(Context* context,
                                                     const grpc::ByteBuffer* request,
                                                     grpc::ByteBuffer* response) {
  return Answer(context, *catalog_, *access_, &tensord::ListTensors, *request, response);
}

grpc::ServerUnaryReactor* TensorService::GetMetadata(Context* context,
                                                     const grpc::ByteBuffer* request,
                                                     grpc::ByteBuffer* response) {
  return Answer(context, *catalog_, *access_, &tensord::GetMetadata, *request, response);
}

grpc::ServerUnaryReactor* TensorService::PeekTensor(Context* context,
                                                    const grpc::ByteBuffer* request,
                                                    grpc::ByteBuffer* response) {
  return Answer(context, *catalog_, *access_, &tensord::PeekTensor, *request, response);
}

template <typename Request, typename Open>
TensorService::Stream* TensorService::Begin(Context* context, const grpc::ByteBuffer& request,
                                            Open open) {
  return Begin(context, [&](const Caller& caller) {
    return Produce<Request>(*catalog_, caller, request, open);
  });
}

template <typename MakeProducer>
TensorService::Stream* TensorService::Begin(Context* context, MakeProducer make_producer) {
  const auto fail = [&](const absl::Status& status) {
    return new ChunkStream(context, status, ActiveStreams::Token(), queue_, &turns_);
  };
  const absl::StatusOr<Caller> caller = access_->Authorize(*context);
  if (!caller.ok()) return fail(caller.status());
  absl::StatusOr<ActiveStreams::Token> token =
      streams_.Begin(context->peer(), CancellerOf(*context));
  if (!token.ok()) return fail(token.status());
  return new ChunkStream(context, make_producer(*caller), *std::move(token), queue_, &turns_);
}

TensorService::Stream* TensorService::GetTensor(Context* context, const grpc::ByteBuffer* request) {
  const auto open = [this](const CatalogView& catalog, const v1::GetTensorRequest& parsed) {
    return OpenSingle(catalog, parsed, chunk_bytes_);
  };
  return Begin<v1::GetTensorRequest>(context, *request, open);
}

TensorService::Stream* TensorService::GetSlice(Context* context, const grpc::ByteBuffer* request) {
  const auto open = [this](const CatalogView& catalog, const v1::GetSliceRequest& parsed) {
    return OpenSingle(catalog, parsed, chunk_bytes_);
  };
  return Begin<v1::GetSliceRequest>(context, *request, open);
}

TensorService::Stream* TensorService::GetTensors(Context* context,
                                                 const grpc::ByteBuffer* request) {
  return Begin(context, [&](const Caller& caller) {
    return ProduceBatch(*catalog_, caller, *request,
                        [this](const CatalogView& catalog, const BatchRequestView& parsed) {
                          return OpenBatch(catalog, parsed, chunk_bytes_);
                        });
  });
}

TensorService::Stream* TensorService::ReadFile(Context* context, const grpc::ByteBuffer* request) {
  const auto open = [this](const CatalogView& catalog,
                           const v1::ReadFileRequest& parsed) -> ProducerOr {
    const ChunkOptions options{ClampChunkBytes(parsed.chunk_bytes(), chunk_bytes_),
                               parsed.checksum()};
    return FileStream::Open(catalog, parsed, options);
  };
  return Begin<v1::ReadFileRequest>(context, *request, open);
}

}  // namespace tensord
