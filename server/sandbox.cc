#include "server/sandbox.h"

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/seccomp_filter.h"

namespace tensord {
namespace {

// Opened behind our back: by the C library to resolve names and count processors, by OpenSSL for
// its configuration, by ourselves for metrics and the acceptor's spare descriptor. No more of /etc.
constexpr const char* kSystemFiles[] = {
    "/dev/null",
    "/dev/urandom",
    "/proc/self",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/etc/ssl/openssl.cnf",
};

absl::Status Decide(SandboxMode mode, const absl::Status& status) {
  if (mode == SandboxMode::kAuto && absl::IsUnimplemented(status)) return absl::OkStatus();
  return status;
}

}  // namespace

absl::Status Sandbox::ConfineFiles(LandlockRules rules) {
  if (mode_ == SandboxMode::kOff) return absl::OkStatus();
  rules.readable.insert(rules.readable.end(), std::begin(kSystemFiles), std::end(kSystemFiles));
  const absl::StatusOr<int> version = LandlockSelf(rules);
  if (!version.ok()) return Decide(mode_, version.status());
  parts_.push_back(absl::StrCat("landlock ", *version));
  return absl::OkStatus();
}

absl::Status Sandbox::ConfineCalls() {
  if (mode_ == SandboxMode::kOff) return absl::OkStatus();
  const absl::Status installed = InstallSeccompFilter();
  if (!installed.ok()) return Decide(mode_, installed);
  parts_.push_back("seccomp");
  return absl::OkStatus();
}

std::string Sandbox::parts() const { return parts_.empty() ? "none" : absl::StrJoin(parts_, ", "); }

std::vector<std::string> ReadableFor(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path plain = fs::absolute(path, error).lexically_normal();
  if (!plain.has_filename()) plain = plain.parent_path();  // It ended in a slash.
  const fs::path real = fs::canonical(path, error);
  std::vector<std::string> readable = {plain.string()};
  if (error || real == plain) return readable;
  readable.push_back(real.string());
  for (const fs::path& directory : {plain.parent_path(), real.parent_path()}) {
    if (directory != directory.root_path()) readable.push_back(directory.string());
  }
  return readable;
}

}  // namespace tensord
