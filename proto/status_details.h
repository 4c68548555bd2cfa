// Between our statuses and gRPC's, with google.rpc's details in the trailer
// "grpc-status-details-bin". Reads and writes them without generated code: a program that embeds
// the client may have its own google/rpc/*.proto, and protobuf aborts when a file is registered
// twice.
#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tensord {

// The detail that says how long to wait, in whole milliseconds; on the wire it is RetryInfo.
inline constexpr char kRetryDetail[] = "retry_ms";

// google.rpc.Status with ErrorInfo (domain "tensord", reason, details) and, where the status has
// the detail "retry_ms", RetryInfo. Message and details take less than 4 KiB of trailers as they
// are encoded, because the client's metadata limit is 8 KiB: a longer message is cut and ends in
// "...". An error without a reason has no details.
grpc::Status ToGrpc(const absl::Status& status);

// The message of an error that gRPC sends without details, as it does for a call that is cancelled
// with a status: the reason stands before it, "STALLED: the client took nothing for 60000 ms".
std::string BareMessage(const absl::Status& status);

// The reverse of both; understands details of other servers too, and drops what it does not know
// or what contradicts the status code. A code that gRPC does not define becomes UNKNOWN.
absl::Status FromGrpc(const grpc::Status& status);

// How long the status asks to wait before the next attempt; nullopt when it does not say.
std::optional<std::chrono::milliseconds> RetryDelay(const absl::Status& status);

}  // namespace tensord
