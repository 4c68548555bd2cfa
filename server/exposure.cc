#include "server/exposure.h"

#include "absl/strings/str_cat.h"
#include "server/listener.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {

absl::Status CheckExposure(const ServerOptions& options) {
  const CredentialOptions& credentials = options.credentials;
  const bool is_safe = credentials.has_tls() && credentials.authenticates();
  if (is_safe || options.insecure_allow_remote) return absl::OkStatus();
  for (const std::string& address : options.listen) {
    TENSORD_ASSIGN_OR_RETURN(const bool is_remote, Listener::IsRemote(address));
    if (!is_remote) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "other machines can reach ", Quote(address), ", and ",
        credentials.has_tls() ? ""
                              : "its connections are not encrypted: give --tls-cert and --tls-key",
        credentials.has_tls() || credentials.authenticates() ? "" : "; ",
        credentials.authenticates()
            ? ""
            : "its callers need no credentials: give --auth-token-file or --tls-client-ca",
        "; --insecure-allow-remote serves everybody all the same"));
  }
  return absl::OkStatus();
}

}  // namespace tensord
