#include "server/access.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/wire_hooks.h"
#include "src/error.h"
#include "src/utf8.h"

namespace tensord {
namespace {

constexpr char kHeader[] = "authorization";
constexpr absl::string_view kScheme = "Bearer ";

absl::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

absl::Status Refuse(absl::string_view why) { return MakeError(ErrorReason::kUnauthenticated, why); }

// The values of the header, of which there should be one.
absl::StatusOr<std::optional<absl::string_view>> TokenOf(const grpc::ServerContextBase& context) {
  const auto [begin, end] = context.client_metadata().equal_range(kHeader);
  if (begin == end) return std::nullopt;
  absl::string_view value = View(begin->second);
  if (std::next(begin) != end || !absl::StartsWithIgnoreCase(value, kScheme)) {
    return Refuse("the authorization header is not one `Bearer TOKEN`");
  }
  value.remove_prefix(kScheme.size());
  return absl::StripAsciiWhitespace(value);
}

struct Property {
  absl::string_view kind;
  const char* name;
};

// In the order of CallerName::kind.
constexpr Property kProperties[] = {{"uri", GRPC_PEER_URI_PROPERTY_NAME},
                                    {"dns", GRPC_PEER_DNS_PROPERTY_NAME},
                                    {"cn", GRPC_X509_CN_PROPERTY_NAME},
                                    {"subject", GRPC_X509_SUBJECT_PROPERTY_NAME}};

// Views into `peer`. Empty without a client certificate, which gRPC has verified otherwise.
std::vector<CallerName> NamesOf(const grpc::AuthContext& peer) {
  std::vector<CallerName> names;
  for (const Property& property : kProperties) {
    for (const grpc::string_ref& value : peer.FindPropertyValues(property.name)) {
      if (IsValidUtf8(View(value))) names.push_back({property.kind, View(value)});
    }
  }
  return names;
}

// "1000" for a call over a Unix socket, "" for any other.
std::string UidOf(const grpc::ServerContextBase& context) {
  // gRPC's name of such a connection is the number of its descriptor. That is gone once the
  // connection is, and so is whoever might get the answer.
  const std::string peer = context.peer();
  absl::string_view number = peer;
  int fd = -1;
  if (!absl::ConsumePrefix(&number, "fd:") || !absl::SimpleAtoi(number, &fd)) return "";
  const std::string name = PeerOfSocket(fd);
  absl::string_view uid = name;
  return absl::ConsumePrefix(&uid, "uid:") ? std::string(uid) : "";
}

// Null for whom no line names.
const AccessRules::Grant* FindByName(const AccessRules& rules,
                                     const grpc::ServerContextBase& context) {
  if (!rules.has_names()) return nullptr;
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer->IsPeerAuthenticated()) return rules.FindName(NamesOf(*peer));
  const std::string uid = UidOf(context);
  return uid.empty() ? nullptr : rules.FindName({{"uid", uid}});
}

// Shares the rules that it is part of.
Caller CallerOf(const std::shared_ptr<const AccessRules>& rules, const AccessRules::Grant& grant) {
  return {std::shared_ptr<const ModelRights>(rules, &grant.models), grant.identity};
}

Caller Anybody(const grpc::ServerContextBase& context) {
  static const auto* const everything =
      new std::shared_ptr<const ModelRights>(new ModelRights(ModelRights::Everything()));
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (!peer->IsPeerAuthenticated()) return {*everything, ""};
  const std::vector<CallerName> names = NamesOf(*peer);
  if (names.empty()) return {*everything, ""};
  return {*everything, absl::StrCat(names[0].kind, ":", names[0].value)};
}

}  // namespace

void Access::Replace(std::shared_ptr<const AccessRules> rules) {
  const MutexLock lock(mutex_);
  rules_.swap(rules);
}

absl::StatusOr<Caller> Access::Authorize(const grpc::ServerContextBase& context) const {
  std::shared_ptr<const AccessRules> rules;
  {
    const MutexLock lock(mutex_);
    rules = rules_;
  }
  if (rules == nullptr) return Anybody(context);
  const absl::StatusOr<std::optional<absl::string_view>> token = TokenOf(context);
  if (!token.ok()) return token.status();
  if (token->has_value()) {
    const AccessRules::Grant* const grant = rules->FindToken(**token);
    if (grant == nullptr) return Refuse("the bearer token is not valid here");
    return CallerOf(rules, *grant);
  }
  if (const AccessRules::Grant* const grant = FindByName(*rules, context)) {
    return CallerOf(rules, *grant);
  }
  return Refuse("credentials are missing: wanted is a bearer token");
}

}  // namespace tensord
