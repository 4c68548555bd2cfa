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
#include "server/answer_reactor.h"
#include "server/batch_request_view.h"
#include "server/call_canceller.h"
#include "server/chunk_options.h"
#include "server/describe_call.h"
#include "server/file_stream.h"
#include "server/get_metadata.h"
#include "server/header_wait.h"
#include "server/late_producer.h"
#include "server/list_models.h"
#include "server/list_tensors.h"
#include "server/page_budget.h"
#include "server/peek_tensor.h"
#include "server/plan_cost.h"
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

// Parsed, empty strings take 20 times as much as on the wire. A name has 4 KiB at the most, and
// only batches name many.
constexpr size_t kMaxUnaryRequestBytes = 1 << 20;

absl::Status CheckUnarySize(const grpc::ByteBuffer& bytes) {
  if (bytes.Length() <= kMaxUnaryRequestBytes) return absl::OkStatus();
  return MakeError(ErrorReason::kBadRequest,
                   absl::StrCat("a request of ", bytes.Length(),
                                " bytes; the limit of this call is ", kMaxUnaryRequestBytes));
}

// Parses the request of a method.
template <typename Request>
absl::Status Parse(const grpc::ByteBuffer& bytes, Request* request) {
  grpc::ByteBuffer copy(bytes);  // Of references; parsing consumes it.
  if (grpc::SerializationTraits<Request>::Deserialize(&copy, request).ok()) return absl::OkStatus();
  return MakeError(ErrorReason::kBadRequest, absl::StrCat("the request cannot be parsed as ",
                                                          Request::descriptor()->full_name()));
}

// Where a call has to run if it cannot run here, for its headers or for its length.
struct CallWait : HeaderWait {
  bool is_long = false;
};

template <typename Request>
CallWait FindPlace(const CatalogView& view, absl::string_view peer, const Request& request) {
  CallWait wait{WaitForHeaders(view, request)};
  wait.is_long = !wait.place && !IsQuick(view, wait.model.get(), request);
  if (wait.is_long) wait.place = PlaceOfLongCalls(peer);
  return wait;
}

// Makes a producer with `open(catalog, request, record)`. If that cannot be done here and `wait` is
// there, it is set instead.
template <typename Request, typename Open>
ProducerOr OpenOrWait(const LiveCatalog& live, const Caller& caller, const Request& request,
                      Open open, CallRecord& record, CallWait* wait) {
  TENSORD_ASSIGN_OR_RETURN(const std::shared_ptr<const Catalog> catalog, Current(live));
  const CatalogView view(catalog, caller.models);
  if (wait != nullptr) {
    *wait = FindPlace(view, record.peer, request);
    if (wait->place) return nullptr;
  }
  return open(view, request, record);
}

// The same for the bytes of a streaming method's request.
template <typename Request, typename Open>
ProducerOr Produce(const LiveCatalog& live, const Caller& caller, const grpc::ByteBuffer& bytes,
                   Open open, CallRecord& record, CallWait* wait) {
  google::protobuf::Arena arena;  // A batch has many small messages.
  auto* const request = google::protobuf::Arena::CreateMessage<Request>(&arena);
  TENSORD_RETURN_IF_ERROR(Parse(bytes, request));
  Describe(*request, record);
  TENSORD_RETURN_IF_ERROR(CheckNoUnknownFields(*request));
  return OpenOrWait(live, caller, *request, open, record, wait);
}

// The same for a batch, which is read where it lies.
template <typename Open>
ProducerOr ProduceBatch(const LiveCatalog& live, const Caller& caller,
                        const grpc::ByteBuffer& bytes, Open open, CallRecord& record,
                        CallWait* wait) {
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
  Describe(*request, record);
  return OpenOrWait(live, caller, *request, open, record, wait);
}

// The options that all tensor requests share.
template <typename Request>
MessageDrafter::Options MessageOptions(const Request& request, uint32_t default_chunk_bytes) {
  return {.chunk_bytes = ClampChunkBytes(request.chunk_bytes(), default_chunk_bytes),
          .checksum = request.checksum(),
          .plan_only = false};
}

template <typename Request>
ProducerOr OpenSingle(const CatalogView& catalog, const Request& request, uint32_t chunk_bytes,
                      FileFaults* faults, PlanBudget& plans, CallRecord& record) {
  TENSORD_ASSIGN_OR_RETURN(ReadPlan plan, PlanRead(catalog, request));
  TENSORD_ASSIGN_OR_RETURN(plan.share, plans.Take(PlanBytes(plan)));
  SetModel(*plan.model, record);
  return std::make_unique<TensorStream>(std::move(plan),
                                        TensorStream::Options{MessageOptions(request, chunk_bytes),
                                                              /*isolate_failures=*/false, faults});
}

ProducerOr OpenBatch(const CatalogView& catalog, const BatchRequestView& request,
                     uint32_t chunk_bytes, FileFaults* faults, PlanBudget& plans,
                     CallRecord& record) {
  TENSORD_ASSIGN_OR_RETURN(ReadPlan plan, PlanRead(catalog, request));
  TENSORD_ASSIGN_OR_RETURN(plan.share, plans.Take(PlanBytes(plan)));
  SetModel(*plan.model, record);
  if (record.tensor.empty()) record.tensor = absl::StrCat(plan.results.size(), " results");
  TensorStream::Options options{MessageOptions(request, chunk_bytes), /*isolate_failures=*/true,
                                faults};
  options.messages.plan_only = request.plan_only();
  return std::make_unique<TensorStream>(std::move(plan), options);
}

}  // namespace

// From its beginning to its answer, wherever that is found.
template <typename Request>
struct TensorService::UnaryCall {
  UnaryCall(CallMethod method, Context* grpc_context, CallObserver* observer,
            const AnswerReactor::Room& answer_room, grpc::ByteBuffer* answer)
      : context(method, grpc_context, observer), room(answer_room), response(answer) {}

  void Finish(const absl::Status& status) { reactor->Finish(context.End(status)); }

  // Of a call that takes long: keeps room for its answer, which is a page.
  absl::Status ExpectPage() { return reactor->Expect(kMaxPageBytes, *context.grpc(), room); }

  template <typename Response>
  void Reply(const absl::StatusOr<Response>& answer) {
    if (!answer.ok()) return Finish(answer.status());
    Finish(reactor->Hold(*answer, *context.grpc(), room, response));
  }

  CallContext context;
  AnswerReactor* const reactor = new AnswerReactor();  // Owns itself.
  const AnswerReactor::Room room;
  grpc::ByteBuffer* const response;
  Request request;
  std::optional<CatalogView> view;
};

grpc::ServerUnaryReactor* TensorService::ListModels(Context* context,
                                                    const grpc::ByteBuffer* request,
                                                    grpc::ByteBuffer* response) {
  return Answer(CallMethod::kListModels, context, &tensord::ListModels, *request, response);
}

grpc::ServerUnaryReactor* TensorService::ListTensors(Context* context,
                                                     const grpc::ByteBuffer* request,
                                                     grpc::ByteBuffer* response) {
  return Answer(CallMethod::kListTensors, context, &tensord::ListTensors, *request, response);
}

grpc::ServerUnaryReactor* TensorService::GetMetadata(Context* context,
                                                     const grpc::ByteBuffer* request,
                                                     grpc::ByteBuffer* response) {
  return Answer(CallMethod::kGetMetadata, context, &tensord::GetMetadata, *request, response);
}

// The headers may wait in one place, the values in another.
grpc::ServerUnaryReactor* TensorService::PeekTensor(Context* context,
                                                    const grpc::ByteBuffer* request,
                                                    grpc::ByteBuffer* response) {
  using Peek = UnaryCall<v1::PeekTensorRequest>;
  const auto run = [this](const std::shared_ptr<Peek>& call) {
    const absl::StatusOr<FilePlace> place = PlaceToPeek(*call->view, call->request);
    if (!place.ok()) return call->Finish(place.status());
    workers_.io->Post({.place = *place, .run = [this, call] {
                         call->Reply(tensord::PeekTensor(*call->view, call->request, faults_));
                       }});
  };
  return Ask<v1::PeekTensorRequest>(CallMethod::kPeekTensor, context, *request, response, run);
}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* TensorService::Answer(
    CallMethod method, Context* context,
    absl::StatusOr<Response> (*function)(const CatalogView&, const Request&),
    const grpc::ByteBuffer& request, grpc::ByteBuffer* response) {
  return Ask<Request>(method, context, request, response,
                      [function](const std::shared_ptr<UnaryCall<Request>>& call) {
                        call->Reply(function(*call->view, call->request));
                      });
}

template <typename Request, typename Run>
grpc::ServerUnaryReactor* TensorService::Ask(CallMethod method, Context* context,
                                             const grpc::ByteBuffer& request,
                                             grpc::ByteBuffer* response, Run run) {
  const auto call = std::make_shared<UnaryCall<Request>>(
      method, context, observer_, AnswerReactor::Room{&answers_, answer_buffers_.get()}, response);
  grpc::ServerUnaryReactor* const reactor = call->reactor;  // Finished perhaps when we return.
  CallWait wait;
  const absl::Status admitted = [&] {
    TENSORD_ASSIGN_OR_RETURN(const Caller caller, AdmitUnary(call->context));
    TENSORD_RETURN_IF_ERROR(CheckUnarySize(request));
    TENSORD_RETURN_IF_ERROR(Parse(request, &call->request));
    Describe(call->request, call->context.record());
    TENSORD_ASSIGN_OR_RETURN(auto catalog, Current(*catalog_));
    call->view.emplace(std::move(catalog), caller.models);
    wait = FindPlace(*call->view, call->context.record().peer, call->request);
    return wait.is_long ? call->ExpectPage() : absl::OkStatus();
  }();
  if (!admitted.ok()) {
    call->Finish(admitted);
  } else if (wait.place) {
    workers_.io->Post({.place = *wait.place, .run = [call, run, wait] { run(call); }});
  } else {
    run(call);
  }
  return reactor;
}

template <typename Request, typename Open>
TensorService::Stream* TensorService::Begin(CallMethod method, Context* context,
                                            const grpc::ByteBuffer& request, Open open) {
  return Begin(method, context, request,
               [this, open](const Caller& caller, const grpc::ByteBuffer& bytes, CallRecord& record,
                            CallWait* wait) {
                 return Produce<Request>(*catalog_, caller, bytes, open, record, wait);
               });
}

absl::StatusOr<Caller> TensorService::Identify(CallContext& call) const {
  absl::StatusOr<Caller> caller = access_->Authorize(*call.grpc());
  if (caller.ok()) call.record().identity = caller->identity;
  return caller;
}

absl::StatusOr<Caller> TensorService::AdmitUnary(CallContext& call) const {
  TENSORD_ASSIGN_OR_RETURN(Caller caller, Identify(call));
  TENSORD_RETURN_IF_ERROR(streams_.CheckNotDraining());
  return caller;
}

template <typename MakeProducer>
TensorService::Stream* TensorService::Begin(CallMethod method, Context* context,
                                            const grpc::ByteBuffer& request,
                                            MakeProducer make_producer) {
  const auto call = std::make_shared<CallContext>(method, context, observer_);
  const auto cancel = [call, cancel = CancellerOf(*context)](const absl::Status& status) {
    call->Override(status);
    cancel(status);
  };
  const auto fail = [&](const absl::Status& status) {
    return new ChunkStream(call, status, ActiveStreams::Token(), workers_);
  };
  const absl::StatusOr<Caller> caller = Identify(*call);
  if (!caller.ok()) return fail(caller.status());
  absl::StatusOr<ActiveStreams::Token> token = streams_.Begin(context->peer(), cancel);
  if (!token.ok()) return fail(token.status());
  CallWait wait;
  ProducerOr producer = make_producer(*caller, request, call->record(), &wait);
  if (wait.place) {
    const auto make = [=, caller = *caller, bytes = request, model = wait.model] {
      return make_producer(caller, bytes, call->record(), nullptr);
    };
    producer = std::make_unique<LateProducer>(*wait.place, make);
  }
  return new ChunkStream(call, std::move(producer), *std::move(token), workers_);
}

TensorService::Stream* TensorService::GetTensor(Context* context, const grpc::ByteBuffer* request) {
  const auto open = [this](const CatalogView& catalog, const v1::GetTensorRequest& parsed,
                           CallRecord& record) {
    return OpenSingle(catalog, parsed, chunk_bytes_, faults_, plans_, record);
  };
  return Begin<v1::GetTensorRequest>(CallMethod::kGetTensor, context, *request, open);
}

TensorService::Stream* TensorService::GetSlice(Context* context, const grpc::ByteBuffer* request) {
  const auto open = [this](const CatalogView& catalog, const v1::GetSliceRequest& parsed,
                           CallRecord& record) {
    return OpenSingle(catalog, parsed, chunk_bytes_, faults_, plans_, record);
  };
  return Begin<v1::GetSliceRequest>(CallMethod::kGetSlice, context, *request, open);
}

TensorService::Stream* TensorService::GetTensors(Context* context,
                                                 const grpc::ByteBuffer* request) {
  const auto open = [this](const CatalogView& catalog, const BatchRequestView& parsed,
                           CallRecord& record) {
    return OpenBatch(catalog, parsed, chunk_bytes_, faults_, plans_, record);
  };
  return Begin(CallMethod::kGetTensors, context, *request,
               [this, open](const Caller& caller, const grpc::ByteBuffer& bytes, CallRecord& record,
                            CallWait* wait) {
                 return ProduceBatch(*catalog_, caller, bytes, open, record, wait);
               });
}

TensorService::Stream* TensorService::ReadFile(Context* context, const grpc::ByteBuffer* request) {
  const auto open = [this](const CatalogView& catalog, const v1::ReadFileRequest& parsed,
                           CallRecord& record) -> ProducerOr {
    const ChunkOptions options{ClampChunkBytes(parsed.chunk_bytes(), chunk_bytes_),
                               parsed.checksum(), faults_};
    TENSORD_ASSIGN_OR_RETURN(auto stream, FileStream::Create(catalog, parsed, options));
    SetModel(stream->model(), record);
    return stream;
  };
  return Begin<v1::ReadFileRequest>(CallMethod::kReadFile, context, *request, open);
}

}  // namespace tensord
