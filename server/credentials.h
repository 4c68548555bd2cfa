// The server's certificate and its callers' rights, read anew while it serves.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/access.h"
#include "server/tls_credentials.h"
#include "src/mutex.h"

namespace tensord {

struct CredentialOptions {
  TlsFiles tls;            // All empty: no TLS.
  std::string token_file;  // As AccessRules::Parse; "": whoever is connected may read everything.

  bool has_tls() const { return !tls.certificate.empty(); }
  // Whether each caller shows who they are.
  bool authenticates() const { return !tls.client_ca.empty() || !token_file.empty(); }
};

// What was found when a file was read again.
struct CredentialReport {
  enum class Kind { kCertificate, kTokens };
  Kind kind = Kind::kCertificate;
  bool is_first = false;  // The server starts with it.
  absl::Status status;    // Not OK: what was read before stays in force.
  // As CredentialFile has it, of the key or the tokens.
  bool others_can_read = false;
};

// Looks at the files every 30 s, and when told to. A symlink swap, as Kubernetes does it, may be
// met halfway: what does not fit together then is looked at again a second later. Thread-safe.
class Credentials {
 public:
  // Called by one thread at a time: by Load for files that others can read, later by a thread of
  // ours for each change and each new failure.
  using OnReport = std::function<void(const CredentialReport&)>;

  // Reads the files. INVALID_ARGUMENT naming option or file and fault.
  static absl::StatusOr<std::unique_ptr<Credentials>> Load(const CredentialOptions& options,
                                                           OnReport on_report);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  // For the TCP connections of one server, which the object must outlive. Null without TLS.
  std::shared_ptr<grpc::ServerCredentials> ForTcp() const;

  const Access& access() const { return access_; }

  // Looks at the files now; returns before that is done.
  void ReloadNow();

  // Of the certificate that new connections get; absent without TLS.
  std::optional<absl::Time> certificate_not_after() const;

  // How often a file was found changed and taken over, or was not fit for it.
  uint64_t num_reloads() const;
  uint64_t num_failed_reloads() const;

 private:
  Credentials(const CredentialOptions& options, OnReport on_report);

  absl::Status LoadFirst();
  void Run();
  // False when a file did not fit.
  bool Look();
  absl::StatusOr<bool> ReloadTokens();
  bool Note(CredentialReport::Kind kind, const absl::StatusOr<bool>& changed,
            std::string& last_failure);

  const CredentialOptions options_;
  const OnReport on_report_;
  std::shared_ptr<TlsCredentials> tls_;  // Null: none.
  Access access_;
  // For the thread that looks.
  std::string tokens_text_digest_;
  bool others_can_read_tokens_ = false;
  std::string tls_failure_;
  std::string tokens_failure_;

  mutable Mutex mutex_;
  std::condition_variable_any wake_;
  bool is_asked_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t num_reloads_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t num_failed_reloads_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace tensord
