#include "client/tensorctl/session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/tensorctl/exit_code.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord::ctl {
namespace {

// A person waits: long enough for a slow network, not for a server that is still to be started.
constexpr absl::Duration kConnectTimeout = absl::Seconds(2);

}  // namespace

absl::StatusOr<Session> Session::Open(const GlobalOptions& options, const Console& console) {
  ClientOptions client_options;
  client_options.connect_timeout = kConnectTimeout;
  auto client = Client::Connect(options.server, client_options);
  if (!client.ok()) {
    return UsageError(
        absl::StrCat("--server ", Quote(options.server), ": ", client.status().message()));
  }
  CallOptions call;
  if (options.timeout < absl::InfiniteDuration()) call.deadline = absl::Now() + options.timeout;
  return Session(*std::move(client), console, std::move(call));
}

Session::Session(Client client, const Console& console, CallOptions call)
    : client_(std::move(client)), console_(console), call_(std::move(call)) {}

absl::StatusOr<CallOptions> Session::Pin(const std::string& model) const {
  MetadataOptions little;  // Only the version is wanted, so as little metadata as can be asked for.
  little.keys = {"tensorctl"};
  little.max_value_bytes = 1;
  TENSORD_ASSIGN_OR_RETURN(const ModelInfo info, client_.GetMetadata(model, little, call_));
  CallOptions pinned = call_;
  pinned.version = info.version;
  return pinned;
}

}  // namespace tensord::ctl
