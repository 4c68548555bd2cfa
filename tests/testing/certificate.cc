#include "tests/testing/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstring>  // For the macro EVP_EC_gen.
#include <functional>

#include "server/openssl_objects.h"

namespace tensord {
namespace {

std::string Pem(const std::function<void(BIO*)>& write) {
  const Bio bio(BIO_new(BIO_s_mem()));
  write(bio.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

void SetName(X509_NAME* subject, const std::string& name) {
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.data()),
                             static_cast<int>(name.size()), -1, 0);
}

}  // namespace

TestCertificate MakeTestCertificate(const std::string& name, absl::Time begin, absl::Time end) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(begin));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(end));
  SetName(X509_get_subject_name(certificate.get()), name);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  return {Pem([&](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); }), Pem([&](BIO* bio) {
            PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

std::string Encrypted(const std::string& key) {
  const Bio from(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
  const Key parsed(PEM_read_bio_PrivateKey(from.get(), nullptr, nullptr, nullptr));
  char password[] = "password";
  return Pem([&](BIO* bio) {
    PEM_write_bio_PKCS8PrivateKey(bio, parsed.get(), EVP_aes_128_cbc(), password,
                                  static_cast<int>(std::strlen(password)), nullptr, nullptr);
  });
}

}  // namespace tensord
