#include "server/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <string>
#include <utility>

#include "src/status_macros.h"

namespace tensord {

// gRPC's own ones for C++ either never change or watch files without a look at them: a key that is
// not the certificate's would end all service. Its C interface asks us before each handshake.
class TlsServerCredentials final : public grpc::ServerCredentials {
 public:
  TlsServerCredentials(TlsCredentials* source, bool wants_client_certificate)
      : credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                wants_client_certificate
                    ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                    : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
                &Fetch, source))) {}

  ~TlsServerCredentials() override { grpc_server_credentials_release(credentials_); }

  // Calls are authorized by their handlers.
  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>& /*processor*/) override {}

 private:
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* source, grpc_ssl_server_certificate_config** config) {
    auto& tls = *static_cast<TlsCredentials*>(source);
    const MutexLock lock(tls.mutex_);
    if (!tls.is_new_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    tls.is_new_ = false;
    const grpc_ssl_pem_key_cert_pair pair = {tls.material_.key.c_str(),
                                             tls.material_.certificate.c_str()};
    // gRPC wants roots also where it asks clients for no certificate, and does not use them then.
    const std::string& ca = tls.material_.client_ca;
    const std::string& roots = ca.empty() ? tls.material_.certificate : ca;
    *config = grpc_ssl_server_certificate_config_create(roots.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* const credentials_;
};

absl::StatusOr<std::shared_ptr<TlsCredentials>> TlsCredentials::Create(const TlsFiles& files) {
  TENSORD_ASSIGN_OR_RETURN(TlsMaterial material, LoadTlsMaterial(files));
  return std::shared_ptr<TlsCredentials>(new TlsCredentials(files, std::move(material)));
}

TlsCredentials::TlsCredentials(TlsFiles files, TlsMaterial material)
    : files_(std::move(files)), material_(std::move(material)) {}

std::shared_ptr<grpc::ServerCredentials> TlsCredentials::ForServer() {
  return std::make_shared<TlsServerCredentials>(this, !files_.client_ca.empty());
}

absl::StatusOr<bool> TlsCredentials::Reload() {
  TENSORD_ASSIGN_OR_RETURN(TlsMaterial material, LoadTlsMaterial(files_));
  const MutexLock lock(mutex_);
  if (material.certificate == material_.certificate && material.key == material_.key &&
      material.client_ca == material_.client_ca) {
    return false;
  }
  material_ = std::move(material);
  is_new_ = true;
  return true;
}

absl::Time TlsCredentials::not_after() const {
  const MutexLock lock(mutex_);
  return material_.not_after;
}

bool TlsCredentials::others_can_read_key() const {
  const MutexLock lock(mutex_);
  return material_.others_can_read;
}

}  // namespace tensord
