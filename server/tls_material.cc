#include "server/tls_material.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/openssl_objects.h"
#include "src/credential_file.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using Context = std::unique_ptr<SSL_CTX, Freeing<SSL_CTX_free>>;

absl::Status Bad(const std::string& path, absl::string_view why) {
  ERR_clear_error();  // gRPC uses this thread's queue too.
  return absl::InvalidArgumentError(absl::StrCat("file ", Quote(path), " ", why));
}

std::string OpenSslReason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason == nullptr ? "unknown reason" : reason;
}

// Else OpenSSL would ask on the terminal.
int NoPassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* was_asked) {
  if (was_asked != nullptr) *static_cast<bool*>(was_asked) = true;
  return -1;
}

Bio BioOf(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Certificate NextCertificate(const Bio& pem) {
  return Certificate(PEM_read_bio_X509(pem.get(), nullptr, &NoPassword, nullptr));
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

absl::Status CheckValidity(const X509* certificate, const std::string& path) {
  const absl::Time begin = TimeOf(X509_get0_notBefore(certificate));
  const absl::Time end = TimeOf(X509_get0_notAfter(certificate));
  const absl::Time now = absl::Now();
  if (now >= end) return Bad(path, absl::StrCat("expired at ", absl::FormatTime(end)));
  if (now < begin) return Bad(path, absl::StrCat("is not valid before ", absl::FormatTime(begin)));
  return absl::OkStatus();
}

// Puts the certificates into `context`, as gRPC will, and returns when the first one expires.
absl::StatusOr<absl::Time> UseCertificates(const Context& context, const std::string& pem,
                                           const std::string& path) {
  const Bio bio = BioOf(pem);
  const Certificate leaf = NextCertificate(bio);
  if (leaf == nullptr) return Bad(path, "holds no PEM certificate");
  TENSORD_RETURN_IF_ERROR(CheckValidity(leaf.get(), path));
  if (SSL_CTX_use_certificate(context.get(), leaf.get()) != 1) {
    return Bad(path, absl::StrCat("holds a certificate that OpenSSL refuses: ", OpenSslReason()));
  }
  while (Certificate next = NextCertificate(bio)) {
    if (SSL_CTX_add_extra_chain_cert(context.get(), next.get()) == 1) next.release();
  }
  ERR_clear_error();  // "No start line": the end.
  return TimeOf(X509_get0_notAfter(leaf.get()));
}

absl::Status UseKey(const Context& context, const std::string& pem, const TlsFiles& files) {
  bool wants_password = false;
  const Key key(PEM_read_bio_PrivateKey(BioOf(pem).get(), nullptr, &NoPassword, &wants_password));
  if (wants_password) return Bad(files.key, "holds an encrypted key: a server cannot ask for it");
  if (key == nullptr) return Bad(files.key, "holds no PEM private key");
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Bad(files.key, absl::StrCat("holds a key that is not the one of the certificate in ",
                                       Quote(files.certificate), ": ", OpenSslReason()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsMaterial> LoadTlsMaterial(const TlsFiles& files) {
  TlsMaterial material;
  TENSORD_ASSIGN_OR_RETURN(CredentialFile certificate, ReadCredentialFile(files.certificate));
  TENSORD_ASSIGN_OR_RETURN(CredentialFile key, ReadCredentialFile(files.key));
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return Bad(files.certificate, OpenSslReason());
  TENSORD_ASSIGN_OR_RETURN(material.not_after,
                           UseCertificates(context, certificate.bytes, files.certificate));
  TENSORD_RETURN_IF_ERROR(UseKey(context, key.bytes, files));
  if (!files.client_ca.empty()) {
    TENSORD_ASSIGN_OR_RETURN(CredentialFile ca, ReadCredentialFile(files.client_ca));
    if (NextCertificate(BioOf(ca.bytes)) == nullptr) {
      return Bad(files.client_ca, "holds no PEM certificate");
    }
    material.client_ca = std::move(ca.bytes);
  }
  material.certificate = std::move(certificate.bytes);
  material.key = std::move(key.bytes);
  material.others_can_read = key.others_can_read;
  return material;
}

}  // namespace tensord
