// The file of --auth-token-file, understood.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model_rights.h"
#include "src/glob.h"

namespace tensord {

inline constexpr size_t kMaxAccessRules = 4096;

// What a verified client certificate says of its owner: one property, e.g. "dns" and
// "worker.example".
struct CertificateName {
  absl::string_view kind;  // One of kCertificateKinds.
  absl::string_view value;
};

inline constexpr std::array<absl::string_view, 4> kCertificateKinds = {"uri", "dns", "cn",
                                                                       "subject"};

// Who may do what. Holds no token, only SHA-256 digests. Immutable and thread-safe.
class AccessRules {
 public:
  // What a credential is good for.
  struct Grant {
    // How logs name the caller: "token:" and 8 digits of its digest; "dns:worker.example". Holds
    // no byte of a token. Valid UTF-8, not escaped.
    std::string identity;
    ModelRights models;
  };

  // A line each: CREDENTIAL, then any number of `models=PATTERN`, without which it is good for all
  // models. CREDENTIAL is a bearer token; `sha256:` and the token's digest in hex; or `uri:`,
  // `dns:`, `cn:` or `subject:` and a glob for what a client's certificate says. Empty lines and
  // lines that begin with # say nothing. INVALID_ARGUMENT naming line and fault, never a
  // credential: a line of any other form, a credential given twice, no line at all, or more than
  // kMaxAccessRules.
  static absl::StatusOr<std::shared_ptr<const AccessRules>> Parse(absl::string_view text);

  // Null for a token that is not in the file. Takes as long for a near miss as for a far one.
  const Grant* FindToken(absl::string_view token) const;

  // The first line's that one of the names matches; null for none.
  const Grant* FindCertificate(const std::vector<CertificateName>& names) const;

  bool has_certificate_rules() const { return !certificates_.empty(); }
  size_t size() const { return tokens_.size() + certificates_.size(); }

 private:
  struct Token {
    std::string digest;  // 32 bytes.
    Grant grant;
  };
  struct Certificate {
    std::string kind;
    std::string pattern;
    Glob glob;
    Grant grant;
  };

  absl::Status AddLine(absl::string_view line);
  absl::Status AddToken(std::string digest, ModelRights models);
  absl::Status AddCertificate(absl::string_view kind, absl::string_view pattern,
                              ModelRights models);

  std::vector<Token> tokens_;
  std::vector<Certificate> certificates_;
};

}  // namespace tensord
