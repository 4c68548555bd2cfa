// What is known of a call while it runs, and who hears of it: access log and metrics.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "src/mutex.h"

namespace tensord {

enum class CallMethod : uint8_t {
  kListModels,
  kListTensors,
  kGetMetadata,
  kPeekTensor,
  kGetTensor,
  kGetSlice,
  kGetTensors,
  kReadFile,
};
inline constexpr size_t kNumCallMethods = 8;

// As in the proto, "GetSlice".
absl::string_view CallMethodName(CallMethod method);

// Written by the call's handler only, from one thread at a time.
struct CallRecord {
  CallMethod method = CallMethod::kListModels;
  std::string peer;        // As PeerInLog.
  std::string identity;    // Who asks, as authentication found; empty: nobody in particular.
  std::string request_id;  // The client's, or made here.
  std::string model;       // As asked for, until it is found: then its id.
  bool model_found = false;
  std::string version;  // Of a model that was found.
  std::string tensor;   // As asked for; a file's name for ReadFile; "3 results" for a batch.
  std::string slice;
  uint64_t sent_bytes = 0;  // Of file data.
  std::chrono::steady_clock::time_point began;
  std::optional<std::chrono::steady_clock::time_point> first_byte;
};

// Hears of every call of the service. Implementations are quick and thread-safe.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void CallBegan(const CallRecord& record) = 0;
  // `bytes` more of file data were handed to the network; `record` counts them already.
  virtual void BytesSent(const CallRecord& record, uint64_t bytes) = 0;
  virtual void CallEnded(const CallRecord& record, const absl::Status& status) = 0;
};

// One per call, from its first moment until its status is known. `record` is written by the call's
// handler; Override is thread-safe, the rest is for the handler.
class CallContext {
 public:
  // `context` is the call's; `observer`, which may be null, must outlive this.
  CallContext(CallMethod method, grpc::CallbackServerContext* context, CallObserver* observer);
  // Ends the call as cancelled if nobody has ended it.
  ~CallContext();
  CallContext(const CallContext&) = delete;
  CallContext& operator=(const CallContext&) = delete;

  CallRecord& record() { return record_; }
  grpc::CallbackServerContext* grpc() const { return context_; }

  // A message with so much file data goes to the network.
  void Sent(uint64_t bytes);

  // The call was ended from outside with `status`, whatever its handler says at its end.
  void Override(const absl::Status& status);

  // The call's answer, once. Errors get the request id, as a detail and as a trailer.
  grpc::Status End(absl::Status status);

 private:
  absl::Status Overridden(const absl::Status& status) const;

  grpc::CallbackServerContext* const context_;
  CallObserver* const observer_;
  CallRecord record_;
  bool ended_ = false;
  mutable Mutex mutex_;
  absl::Status override_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tensord
