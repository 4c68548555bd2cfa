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

// Whoever can connect may guess at tokens: 16 random letters are beyond that, and examples of
// manuals are shorter.
inline constexpr size_t kMinTokenBytes = 16;

// What is known of a caller without a token: a property of a verified client certificate, e.g.
// "dns" and "worker.example", or "uid" and the user at the other end of a Unix socket.
struct CallerName {
  absl::string_view kind;  // One of kCallerKinds.
  absl::string_view value;
};

inline constexpr std::array<absl::string_view, 5> kCallerKinds = {"uri", "dns", "cn", "subject",
                                                                  "uid"};

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
  // models. CREDENTIAL is a bearer token of kMinTokenBytes and more; `sha256:` and the token's
  // digest in hex; `uri:`, `dns:`, `cn:` or `subject:` and a glob for what a client's certificate
  // says; or `uid:` and the number of a user who connects to a Unix socket. Empty lines and lines
  // that begin with # say nothing. INVALID_ARGUMENT naming line and fault, never a credential: a
  // line of any other form, a credential given twice, no line at all, or more than kMaxAccessRules.
  static absl::StatusOr<std::shared_ptr<const AccessRules>> Parse(absl::string_view text);

  // Null for a token that is not in the file. Takes as long for a near miss as for a far one.
  const Grant* FindToken(absl::string_view token) const;

  // The first line's that one of the names matches; null for none.
  const Grant* FindName(const std::vector<CallerName>& names) const;

  bool has_names() const { return !names_.empty(); }
  size_t size() const { return tokens_.size() + names_.size(); }

 private:
  struct Token {
    std::string digest;  // 32 bytes.
    Grant grant;
  };
  struct Name {
    std::string kind;
    std::string pattern;
    Glob glob;
    Grant grant;
  };

  absl::Status AddLine(absl::string_view line);
  absl::Status AddToken(std::string digest, ModelRights models);
  absl::Status AddName(absl::string_view kind, absl::string_view pattern, ModelRights models);

  std::vector<Token> tokens_;
  std::vector<Name> names_;
};

}  // namespace tensord
