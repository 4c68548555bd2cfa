#include <grpcpp/client_context.h>

#include <algorithm>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/connection.h"
#include "client/tensorctl/commands.h"
#include "client/token_source.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "proto/status_details.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

// As grpc-health-probe's: a kubelet asks again soon.
constexpr absl::Duration kPatience = absl::Seconds(1);

ExitCode Exit(ProbeExit code) { return static_cast<ExitCode>(code); }

ExitCode Fail(ProbeExit code, const std::string& message, const Console& console) {
  console.Warn(absl::StrCat("error: ", message));
  return Exit(code);
}

// What the server says of `service`, within `patience`.
absl::StatusOr<grpc::health::v1::HealthCheckResponse> Check(const Connection& connection,
                                                            const std::string& token,
                                                            const std::string& service,
                                                            absl::Duration patience) {
  const auto stub = grpc::health::v1::Health::NewStub(connection.channel());
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + patience));
  // Ours asks for none here, but a proxy before it may.
  if (!token.empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = stub->Check(&context, request, &response);
  if (!status.ok()) return FromGrpc(status);
  return response;
}

}  // namespace

CommandResult RunProbe(const ProbeOptions& options, const GlobalOptions& global,
                       const Console& console) {
  const absl::Duration patience = std::min(global.timeout, kPatience);
  const ClientOptions client = ClientOptionsOf(global, patience);
  const auto connection = Connection::Create(global.server, client);
  if (!connection.ok()) {
    return Fail(ProbeExit::kUsage, ErrorText(connection.status()), console);
  }
  const absl::Status connected = (*connection)->WaitForConnection(Call());
  if (!connected.ok()) return Fail(ProbeExit::kNoConnection, ErrorText(connected), console);
  const auto token = TokenSource::Create(client);
  if (!token.ok()) return Fail(ProbeExit::kUsage, ErrorText(token.status()), console);
  const auto response = Check(**connection, (*token)->Get(), options.service, patience);
  if (!response.ok()) return Fail(ProbeExit::kCallFailed, ErrorText(response.status()), console);
  const std::string verdict =
      grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response->status());
  if (response->status() != grpc::health::v1::HealthCheckResponse::SERVING) {
    return Fail(ProbeExit::kNotServing,
                absl::StrCat("service ", Quote(options.service), " is ", Escape(verdict)), console);
  }
  TENSORD_RETURN_IF_ERROR(console.Print(absl::StrCat("status: ", verdict, "\n")));
  return ExitCode::kOk;
}

}  // namespace tensord::ctl
