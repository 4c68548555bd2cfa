#include "server/access_rules.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/bearer_token.h"
#include "src/sha256.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

constexpr absl::string_view kModels = "models=";
constexpr absl::string_view kBlank = " \t";
constexpr size_t kDigestBytes = 32;
constexpr size_t kShownDigestBytes = 4;  // Tells a log's reader which token, and nobody the token.

// Cuts ` models=...` off the end: what stands before the first of them may have blanks in it.
absl::StatusOr<ModelRights> TakeModels(absl::string_view& line) {
  size_t begin = line.size();
  for (const char blank : kBlank) {
    begin = std::min(begin, line.find(absl::StrCat(std::string(1, blank), kModels)));
  }
  if (begin == line.size()) return ModelRights::Everything();
  ModelRights rights;
  for (absl::string_view word :
       absl::StrSplit(line.substr(begin), absl::ByAnyChar(kBlank), absl::SkipEmpty())) {
    if (!absl::ConsumePrefix(&word, kModels) || word.empty()) {
      return absl::InvalidArgumentError("wanted are only models=PATTERN behind the credential");
    }
    TENSORD_RETURN_IF_ERROR(rights.Add(word));
  }
  line = absl::StripTrailingAsciiWhitespace(line.substr(0, begin));
  return rights;
}

absl::StatusOr<std::string> ParseDigest(absl::string_view hex) {
  const bool is_hex =
      hex.size() == 2 * kDigestBytes &&
      std::all_of(hex.begin(), hex.end(), [](unsigned char c) { return absl::ascii_isxdigit(c); });
  if (!is_hex) return absl::InvalidArgumentError("sha256: wants 64 hexadecimal digits");
  return absl::HexStringToBytes(hex);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const AccessRules>> AccessRules::Parse(absl::string_view text) {
  auto rules = std::make_shared<AccessRules>();
  size_t number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    const absl::Status status = rules->AddLine(line);
    if (!status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", status.message()));
    }
    if (rules->size() > kMaxAccessRules) {
      return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxAccessRules, " lines"));
    }
  }
  if (rules->size() == 0) return absl::InvalidArgumentError("holds no credential");
  return std::shared_ptr<const AccessRules>(std::move(rules));
}

absl::Status AccessRules::AddLine(absl::string_view line) {
  TENSORD_ASSIGN_OR_RETURN(ModelRights models, TakeModels(line));
  if (absl::ConsumePrefix(&line, "sha256:")) {
    TENSORD_ASSIGN_OR_RETURN(std::string digest, ParseDigest(line));
    return AddToken(std::move(digest), std::move(models));
  }
  for (const absl::string_view kind : kCallerKinds) {
    absl::string_view pattern = line;
    if (absl::ConsumePrefix(&pattern, absl::StrCat(kind, ":"))) {
      return AddName(kind, pattern, std::move(models));
    }
  }
  if (!IsBearerToken(line)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "wanted is a token of ", kMinTokenBytes, " to ", kMaxTokenBytes,
        " letters, digits and -._~+/= (or sha256:, uri:, dns:, cn:, subject: or uid: and a value), "
        "then any models=PATTERN"));
  }
  if (line.size() < kMinTokenBytes) {
    return absl::InvalidArgumentError(absl::StrCat("wanted is a token of at least ", kMinTokenBytes,
                                                   " characters, got ", line.size(),
                                                   "; `openssl rand -hex 32` makes one"));
  }
  return AddToken(Sha256(line), std::move(models));
}

absl::Status AccessRules::AddToken(std::string digest, ModelRights models) {
  for (const Token& token : tokens_) {
    if (token.digest == digest) return absl::InvalidArgumentError("the token stands above already");
  }
  std::string identity = absl::StrCat(
      "token:", absl::BytesToHexString(absl::string_view(digest).substr(0, kShownDigestBytes)));
  tokens_.push_back({std::move(digest), {std::move(identity), std::move(models)}});
  return absl::OkStatus();
}

absl::Status AccessRules::AddName(absl::string_view kind, absl::string_view pattern,
                                  ModelRights models) {
  for (const Name& known : names_) {
    if (known.kind == kind && known.pattern == pattern) {
      return absl::InvalidArgumentError("the name stands above already");
    }
  }
  if (pattern.empty()) return absl::InvalidArgumentError(absl::StrCat(kind, ": wants a value"));
  // As text, because names are compared as such: no sign, no zero in front.
  uint32_t uid = 0;
  if (kind == "uid" && (!absl::SimpleAtoi(pattern, &uid) || absl::StrCat(uid) != pattern)) {
    return absl::InvalidArgumentError("uid: wants the number of a user");
  }
  TENSORD_ASSIGN_OR_RETURN(Glob glob, Glob::Parse(pattern));
  Grant grant{absl::StrCat(kind, ":", pattern), std::move(models)};
  names_.push_back({std::string(kind), std::string(pattern), std::move(glob), std::move(grant)});
  return absl::OkStatus();
}

const AccessRules::Grant* AccessRules::FindToken(absl::string_view token) const {
  const std::string digest = Sha256(token);
  const Grant* found = nullptr;
  for (const Token& known : tokens_) {
    if (CRYPTO_memcmp(known.digest.data(), digest.data(), kDigestBytes) == 0) found = &known.grant;
  }
  return found;
}

const AccessRules::Grant* AccessRules::FindName(const std::vector<CallerName>& names) const {
  for (const Name& rule : names_) {
    for (const CallerName& name : names) {
      if (name.kind == rule.kind && rule.glob.Matches(name.value)) return &rule.grant;
    }
  }
  return nullptr;
}

}  // namespace tensord
