// TLS for gRPC, with a certificate that can be replaced while it serves.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/tls_material.h"
#include "src/mutex.h"

namespace tensord {

// The material of the moment: each handshake uses the newest, running connections keep theirs.
// TLS 1.2 and newer. Thread-safe.
class TlsCredentials {
 public:
  // Errors: as LoadTlsMaterial.
  static absl::StatusOr<std::shared_ptr<TlsCredentials>> Create(const TlsFiles& files);

  // For one server, which the object must outlive.
  std::shared_ptr<grpc::ServerCredentials> ForServer();

  // Reads the files again; whether they hold something new. What cannot be used replaces nothing:
  // the errors are LoadTlsMaterial's.
  absl::StatusOr<bool> Reload();

  absl::Time not_after() const;
  bool others_can_read_key() const;

 private:
  TlsCredentials(TlsFiles files, TlsMaterial material);

  // gRPC's question before each handshake: a grpc_ssl_server_certificate_config_callback.
  friend class TlsServerCredentials;

  const TlsFiles files_;
  mutable Mutex mutex_;
  TlsMaterial material_ ABSL_GUARDED_BY(mutex_);
  bool is_new_ ABSL_GUARDED_BY(mutex_) = true;  // gRPC has not got it yet.
};

}  // namespace tensord
