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

// A server that is restarted comes back within this; a user who gives --timeout says how long.
constexpr absl::Duration kRestartTimeout = absl::Seconds(30);

}  // namespace

ClientOptions ClientOptionsOf(const GlobalOptions& global, absl::Duration connect_timeout) {
  ClientOptions options;
  options.connect_timeout = connect_timeout;
  options.tls_ca = global.tls_ca;
  options.tls_cert = global.tls_cert;
  options.tls_key = global.tls_key;
  options.token_file = global.token_file;
  return options;
}

absl::StatusOr<Session> Session::Open(const GlobalOptions& options, const Console& console) {
  auto client = Client::Connect(options.server, ClientOptionsOf(options, kConnectTimeout));
  if (!client.ok()) {
    return UsageError(
        absl::StrCat("--server ", Quote(options.server), ": ", client.status().message()));
  }
  CallOptions call;
  if (options.timeout < absl::InfiniteDuration()) call.deadline = absl::Now() + options.timeout;
  return Session(options, *std::move(client), console, std::move(call));
}

CallOptions Session::Patiently(CallOptions call) const {
  const bool has_deadline = options_.timeout < absl::InfiniteDuration();
  call.connect_timeout = has_deadline ? absl::InfiniteDuration() : kRestartTimeout;
  return call;
}

absl::StatusOr<Client> Session::ConnectAnew() const {
  return Client::Connect(options_.server, ClientOptionsOf(options_, kConnectTimeout));
}

Session::Session(GlobalOptions options, Client client, const Console& console, CallOptions call)
    : options_(std::move(options)),
      client_(std::move(client)),
      console_(console),
      call_(std::move(call)) {}

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
