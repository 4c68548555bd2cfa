#include "server/call_context.h"

#include <utility>

#include "proto/status_details.h"
#include "server/socket_facts.h"
#include "src/error.h"
#include "src/request_id.h"

namespace tensord {
namespace {

std::string RequestIdOf(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find(kRequestIdKey);
  if (found == context.client_metadata().end()) return MakeRequestId();
  const absl::string_view given(found->second.data(), found->second.size());
  return IsRequestId(given) ? std::string(given) : MakeRequestId();
}

}  // namespace

absl::string_view CallMethodName(CallMethod method) {
  constexpr absl::string_view kNames[kNumCallMethods] = {
      "ListModels", "ListTensors", "GetMetadata", "PeekTensor",
      "GetTensor",  "GetSlice",    "GetTensors",  "ReadFile",
  };
  return kNames[static_cast<size_t>(method)];
}

CallContext::CallContext(CallMethod method, grpc::CallbackServerContext* context,
                         CallObserver* observer)
    : context_(context), observer_(observer) {
  record_.method = method;
  record_.peer = PeerInLog(context->peer());
  record_.request_id = RequestIdOf(*context);
  record_.began = std::chrono::steady_clock::now();
  if (observer_ != nullptr) observer_->CallBegan(record_);
}

CallContext::~CallContext() {
  if (ended_ || observer_ == nullptr) return;
  observer_->CallEnded(record_, Overridden(absl::CancelledError("the call was cancelled")));
}

void CallContext::Sent(uint64_t bytes) {
  if (!record_.first_byte) record_.first_byte = std::chrono::steady_clock::now();
  record_.sent_bytes += bytes;
  if (observer_ != nullptr) observer_->BytesSent(record_, bytes);
}

void CallContext::Override(const absl::Status& status) {
  const MutexLock lock(mutex_);
  if (override_.ok()) override_ = status;
}

absl::Status CallContext::Overridden(const absl::Status& status) const {
  const MutexLock lock(mutex_);
  return override_.ok() || status.ok() ? status : override_;
}

grpc::Status CallContext::End(absl::Status status) {
  ended_ = true;
  status = Overridden(status);
  if (!status.ok()) {
    SetErrorDetail(status, kRequestIdDetail, record_.request_id);
    context_->AddTrailingMetadata(kRequestIdKey, record_.request_id);
  }
  if (observer_ != nullptr) observer_->CallEnded(record_, status);
  return ToGrpc(status);
}

}  // namespace tensord
