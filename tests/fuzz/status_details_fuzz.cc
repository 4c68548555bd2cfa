// Any bytes as "grpc-status-details-bin": code and message survive, and what was understood can be
// written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proto/status_details.h"
#include "src/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto code = static_cast<grpc::StatusCode>(data[0] % 20);
  const std::string details(reinterpret_cast<const char*>(data) + 1, size - 1);
  const absl::Status status = tensord::FromGrpc(grpc::Status(code, "why", details));
  if (code == grpc::StatusCode::OK) return 0;
  if (status.ok() || status.message() != "why") std::abort();
  const grpc::Status written = tensord::ToGrpc(status);
  if (written.error_details().size() > 3072) std::abort();
  const absl::Status again = tensord::FromGrpc(written);
  if (again.code() != status.code() || again.message() != status.message()) std::abort();
  if (tensord::ReasonOf(again) != tensord::ReasonOf(status)) std::abort();
  if (tensord::RetryDelay(again) != tensord::RetryDelay(status)) std::abort();
  return 0;
}
