// What every command that asks a server needs.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/tensorctl/console.h"
#include "tensord/client.h"

namespace tensord::ctl {

// Options of all commands.
struct GlobalOptions {
  std::string server = "127.0.0.1:50051";
  bool json = false;
  std::string tls_ca;  // These are as in ClientOptions.
  std::string tls_cert;
  std::string tls_key;
  std::string token_file;
  absl::Duration timeout = absl::InfiniteDuration();  // Of the whole command.
};

// What the options say of a client.
ClientOptions ClientOptionsOf(const GlobalOptions& global, absl::Duration connect_timeout);

// A connection, and the end of the user's patience.
class Session {
 public:
  // Touches no network. A usage error for what Client::Connect refuses.
  static absl::StatusOr<Session> Open(const GlobalOptions& options, const Console& console);

  const Client& client() const { return client_; }

  // The same server over a connection of its own.
  absl::StatusOr<Client> ConnectAnew() const;
  const Console& console() const { return console_; }
  const CallOptions& call() const { return call_; }

  // `call` for work that goes on while the server restarts: it waits longer for a connection.
  CallOptions Patiently(CallOptions call) const;
  // call(), for the version that `model` has now only: all that one command says is of one version.
  absl::StatusOr<CallOptions> Pin(const std::string& model) const;

 private:
  Session(GlobalOptions options, Client client, const Console& console, CallOptions call);

  GlobalOptions options_;
  Client client_;
  Console console_;
  CallOptions call_;
};

}  // namespace tensord::ctl
