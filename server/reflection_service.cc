#include "server/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <set>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "proto/convert.h"
#include "server/call_canceller.h"
#include "src/error.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

// It holds a name.
constexpr size_t kMaxRequestBytes = 4 << 10;

// The file that defines a service, method, message, enum, field or extension; null if none does.
const FileDescriptor* FileOfSymbol(const std::string& symbol) {
  return DescriptorPool::generated_pool()->FindFileContainingSymbol(symbol);
}

const FileDescriptor* FileOfExtension(const std::string& type, int number) {
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  const Descriptor* message = pool->FindMessageTypeByName(type);
  if (message == nullptr) return nullptr;
  const FieldDescriptor* extension = pool->FindExtensionByNumber(message, number);
  return extension == nullptr ? nullptr : extension->file();
}

// The file and everything it imports, each once: a client can build its pool from one answer.
std::vector<std::string> WithImports(const FileDescriptor* file) {
  std::vector<std::string> serialized;
  std::set<const FileDescriptor*> seen = {file};
  std::deque<const FileDescriptor*> pending = {file};
  while (!pending.empty()) {
    const FileDescriptor* next = pending.front();
    pending.pop_front();
    google::protobuf::FileDescriptorProto proto;
    next->CopyTo(&proto);
    serialized.push_back(proto.SerializeAsString());
    for (int i = 0; i < next->dependency_count(); ++i) {
      if (seen.insert(next->dependency(i)).second) pending.push_back(next->dependency(i));
    }
  }
  return serialized;
}

// Answers one request of either version: their messages are alike, field by field.
template <typename Request, typename Response>
Response Answer(const Request& request, const std::vector<std::string>& services) {
  Response response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  const FileDescriptor* file = nullptr;
  switch (request.message_request_case()) {
    case Request::kListServices:
      for (const std::string& service : services) {
        response.mutable_list_services_response()->add_service()->set_name(service);
      }
      return response;
    case Request::kFileByFilename:
      file = DescriptorPool::generated_pool()->FindFileByName(request.file_by_filename());
      break;
    case Request::kFileContainingSymbol:
      file = FileOfSymbol(request.file_containing_symbol());
      break;
    case Request::kFileContainingExtension:
      file = FileOfExtension(request.file_containing_extension().containing_type(),
                             request.file_containing_extension().extension_number());
      break;
    case Request::kAllExtensionNumbersOfType: {
      const auto* pool = DescriptorPool::generated_pool();
      const std::string& type = request.all_extension_numbers_of_type();
      const Descriptor* message = pool->FindMessageTypeByName(type);
      if (message == nullptr) break;
      std::vector<const FieldDescriptor*> extensions;
      pool->FindAllExtensions(message, &extensions);
      auto* answer = response.mutable_all_extension_numbers_response();
      answer->set_base_type_name(type);
      for (const FieldDescriptor* field : extensions) {
        answer->add_extension_number(field->number());
      }
      return response;
    }
    case Request::MESSAGE_REQUEST_NOT_SET:
      response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
      response.mutable_error_response()->set_error_message("no request is set");
      return response;
  }
  if (file == nullptr) {
    response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
    response.mutable_error_response()->set_error_message("not found");
    return response;
  }
  for (std::string& serialized : WithImports(file)) {
    response.mutable_file_descriptor_response()->add_file_descriptor_proto(std::move(serialized));
  }
  return response;
}

// Answers request by request; deletes itself.
template <typename Request, typename Response>
class Reactor final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  // `services` outlives it.
  Reactor(const std::vector<std::string>& services, absl::StatusOr<ActiveStreams::Token> token)
      : services_(services), token_(std::move(token)) {
    if (token_.ok()) {
      Read();
    } else {
      this->Finish(ToGrpc(token_.status()));
    }
  }

 private:
  void Read() {
    token_->WaitsForClient();
    this->StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::OK);
    const size_t size = request_.ByteSizeLong();
    if (size > kMaxRequestBytes) {
      request_ = Request();  // The answer may have to wait for its client.
      return this->Finish(ToGrpc(MakeError(
          ErrorReason::kBadRequest,
          absl::StrCat("a request of ", size, " bytes; the limit is ", kMaxRequestBytes))));
    }
    response_ = Answer<Request, Response>(request_, services_);
    token_->WaitsForClient();
    this->StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status(grpc::StatusCode::CANCELLED, "cancelled"));
    Read();
  }

  void OnDone() override { delete this; }

  const std::vector<std::string>& services_;
  absl::StatusOr<ActiveStreams::Token> token_;
  Request request_;
  Response response_;
};

template <typename Package, typename Request, typename Response>
class Reflection final : public Package::CallbackService {
 public:
  Reflection(std::vector<std::string> services, const Access* access, ActiveStreams* calls)
      : services_(std::move(services)), access_(access), calls_(calls) {
    services_.emplace_back(Package::service_full_name());
  }

 private:
  grpc::ServerBidiReactor<Request, Response>* ServerReflectionInfo(
      grpc::CallbackServerContext* context) override {
    return new Reactor<Request, Response>(services_, Admit(*context));
  }

  absl::StatusOr<ActiveStreams::Token> Admit(grpc::CallbackServerContext& context) const {
    TENSORD_RETURN_IF_ERROR(access_->Authorize(context).status());
    return calls_->Begin(context.peer(), CancellerOf(context));
  }

  std::vector<std::string> services_;
  const Access* const access_;
  ActiveStreams* const calls_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeReflectionV1(std::vector<std::string> services,
                                                const Access* access, ActiveStreams* calls) {
  namespace v1 = grpc::reflection::v1;
  return std::make_unique<
      Reflection<v1::ServerReflection, v1::ServerReflectionRequest, v1::ServerReflectionResponse>>(
      std::move(services), access, calls);
}

std::unique_ptr<grpc::Service> MakeReflectionV1Alpha(std::vector<std::string> services,
                                                     const Access* access, ActiveStreams* calls) {
  namespace v1alpha = grpc::reflection::v1alpha;
  return std::make_unique<Reflection<v1alpha::ServerReflection, v1alpha::ServerReflectionRequest,
                                     v1alpha::ServerReflectionResponse>>(std::move(services),
                                                                         access, calls);
}

}  // namespace tensord
