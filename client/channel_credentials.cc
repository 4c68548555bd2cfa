#include "client/channel_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "src/credential_file.h"
#include "src/escape.h"
#include "src/openssl_exit.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// How soon new connections use certificates that have been replaced; running ones keep theirs.
constexpr unsigned kRereadSeconds = 1;

// gRPC itself would say of a file of another kind only that handshakes fail.
absl::StatusOr<std::string> ReadPem(absl::string_view option, const std::string& path) {
  TENSORD_ASSIGN_OR_RETURN(CredentialFile file, ReadCredentialFile(path));
  if (absl::StrContains(file.bytes, "-----BEGIN ")) return std::move(file.bytes);
  return absl::InvalidArgumentError(absl::StrCat(option, " ", Quote(path), " is no PEM file"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    absl::string_view address, absl::string_view target, const ClientOptions& options) {
  if (absl::StartsWith(target, "unix:")) return grpc::InsecureChannelCredentials();
  const bool has_token = !options.token.empty() || !options.token_file.empty();
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError("tls_cert and tls_key need each other");
  }
  if (options.tls_ca.empty()) {
    if (!options.tls_cert.empty()) {
      return absl::InvalidArgumentError("tls_cert needs tls_ca, which says whom to trust");
    }
    if (!has_token) return grpc::InsecureChannelCredentials();
    return absl::InvalidArgumentError(absl::StrCat("a token would travel unencrypted to ",
                                                   Quote(address),
                                                   ": wanted is TLS (tls_ca) or a Unix socket"));
  }
  KeepOpenSslAtExit();
  TENSORD_RETURN_IF_ERROR(ReadPem("tls_ca", options.tls_ca).status());
  grpc::experimental::TlsChannelCredentialsOptions tls;
  tls.watch_root_certs();
  if (!options.tls_cert.empty()) {
    TENSORD_RETURN_IF_ERROR(ReadPem("tls_cert", options.tls_cert).status());
    TENSORD_RETURN_IF_ERROR(ReadPem("tls_key", options.tls_key).status());
    tls.watch_identity_key_cert_pairs();
  }
  tls.set_certificate_provider(std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      options.tls_key, options.tls_cert, options.tls_ca, kRereadSeconds));
  return grpc::experimental::TlsCredentials(tls);
}

}  // namespace tensord
