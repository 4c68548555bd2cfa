// The server's certificate and key, and whom it trusts.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tensord {

// PEM files. Without a certificate there is no TLS.
struct TlsFiles {
  std::string certificate;  // The server's own first, then those that lead to its root.
  std::string key;          // Of the first certificate, not encrypted.
  std::string client_ca;    // Clients need a certificate that one of these has signed; "": none.
};

// What has been read of them: fits together and is valid now.
struct TlsMaterial {
  std::string certificate;  // PEM, as in the files.
  std::string key;
  std::string client_ca;
  absl::Time not_after;          // When the server's certificate expires.
  bool others_can_read = false;  // The key, by its file's mode.
};

// INVALID_ARGUMENT naming the file and what is wrong with it: it cannot be read or parsed; the key
// is encrypted or not the certificate's; the certificate has expired or is not valid yet.
absl::StatusOr<TlsMaterial> LoadTlsMaterial(const TlsFiles& files);

}  // namespace tensord
