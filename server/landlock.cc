#include "server/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "src/owned_fd.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// Rights that Debian 12's headers do not name yet.
constexpr uint64_t kTruncate = uint64_t{1} << 14;     // Version 3.
constexpr uint64_t kIoctlDevice = uint64_t{1} << 15;  // Version 5.

constexpr uint64_t kVersion1 = (uint64_t{1} << 13) - 1;
constexpr uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kReadDirectory = kReadFile | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kSocketHome =
    LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE;

// Every right that this version of Landlock can take away.
uint64_t HandledBy(int version) {
  uint64_t handled = kVersion1;
  if (version >= 2) handled |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) handled |= kTruncate;
  if (version >= 5) handled |= kIoctlDevice;
  return handled;
}

absl::Status SystemError(absl::string_view what) {
  return absl::InternalError(
      absl::StrCat("Landlock: ", what, ": ", std::generic_category().message(errno)));
}

absl::Status Allow(int ruleset, const std::string& path, uint64_t rights) {
  const OwnedFd fd(open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat status {};
  if (fd.get() < 0 || fstat(fd.get(), &status) != 0) return absl::OkStatus();
  landlock_path_beneath_attr rule{};
  rule.allowed_access = S_ISDIR(status.st_mode) ? rights : rights & kReadFile;
  rule.parent_fd = fd.get();
  if (rule.allowed_access == 0) return absl::OkStatus();
  const long added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  return added == 0 ? absl::OkStatus() : SystemError("a rule is refused");
}

}  // namespace

absl::StatusOr<int> LandlockSelf(const LandlockRules& rules) {
  const long version =
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return absl::UnimplementedError("the kernel has no Landlock");
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = HandledBy(static_cast<int>(version));
  const OwnedFd ruleset(
      static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0)));
  if (ruleset.get() < 0) return SystemError("no rules can be made");
  for (const std::string& path : rules.readable) {
    TENSORD_RETURN_IF_ERROR(Allow(ruleset.get(), path, kReadDirectory));
  }
  for (const std::string& path : rules.socket_homes) {
    TENSORD_RETURN_IF_ERROR(Allow(ruleset.get(), path, kSocketHome));
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return SystemError("no_new_privs is refused");
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return SystemError("the rules are refused");
  }
  return static_cast<int>(version);
}

}  // namespace tensord
