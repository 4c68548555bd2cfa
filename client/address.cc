#include "client/address.h"

#include <sys/un.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// The kernel's field for the path, whose last byte is a zero.
constexpr size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;

absl::Status Malformed(absl::string_view address, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "address ", Quote(address), " ", why,
      "; wanted is host:port, dns:///host:port, ipv4:a:port,b:port, unix:/path or unix:///path"));
}

absl::StatusOr<std::string> UnixTarget(absl::string_view address, absl::string_view path) {
  absl::ConsumePrefix(&path, "//");
  if (path.empty()) return Malformed(address, "has no path");
  if (path.size() > kMaxSocketPath) {
    return Malformed(address, absl::StrCat("has a path of ", path.size(), " bytes, above the ",
                                           kMaxSocketPath, " of the system"));
  }
  return absl::StrCat("unix:", path);
}

absl::Status CheckHostPort(absl::string_view address, absl::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return Malformed(address, "has no host:port");
  int port = 0;
  if (!absl::SimpleAtoi(authority.substr(colon + 1), &port) || port < 1 || port > 65535) {
    return Malformed(address, "has no port from 1 to 65535");
  }
  const absl::string_view host = authority.substr(0, colon);
  const bool bracketed = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  if (absl::StrContains(host, '/')) return Malformed(address, "has a slash in its host");
  if (absl::StrContains(host, ':') && !bracketed) {
    return Malformed(address, "has an IPv6 address without brackets");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> DnsTarget(absl::string_view address, absl::string_view authority) {
  TENSORD_RETURN_IF_ERROR(CheckHostPort(address, authority));
  return absl::StrCat("dns:///", authority);
}

// `scheme` is "ipv4:" or "ipv6:"; several servers stand behind it with commas.
absl::StatusOr<std::string> ListTarget(absl::string_view address, absl::string_view scheme,
                                       absl::string_view list) {
  for (const absl::string_view server : absl::StrSplit(list, ',')) {
    TENSORD_RETURN_IF_ERROR(CheckHostPort(address, server));
  }
  return absl::StrCat(scheme, list);
}

}  // namespace

absl::StatusOr<std::string> ParseAddress(absl::string_view address) {
  absl::string_view rest = address;
  if (absl::ConsumePrefix(&rest, "unix:")) return UnixTarget(address, rest);
  for (const absl::string_view scheme : {"ipv4:", "ipv6:"}) {
    if (absl::ConsumePrefix(&rest, scheme)) return ListTarget(address, scheme, rest);
  }
  absl::ConsumePrefix(&rest, "dns:///");
  return DnsTarget(address, rest);
}

}  // namespace tensord
