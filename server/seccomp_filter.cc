#include "server/seccomp_filter.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace tensord {
namespace {

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, Release>;

// What a server that has started has no use for, by what it could be used for.
constexpr const char* kForbidden[] = {
    // Other programs and processes.
    "execve",
    "execveat",
    "fork",
    "vfork",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "kcmp",
    // Files: nothing is made, changed, moved or removed but our own Unix socket, by unlink.
    "creat",
    "open_by_handle_at",
    "name_to_handle_at",
    "truncate",
    "ftruncate",
    "fallocate",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "mknod",
    "mknodat",
    "chmod",
    "fchmod",
    "fchmodat",
    "chown",
    "fchown",
    "fchownat",
    "lchown",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "utime",
    "utimes",
    "utimensat",
    "futimesat",
    "chroot",
    "pivot_root",
    // Sockets: those that are accepted need none of these.
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    // Other users, namespaces, and the system.
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
    "setfsuid",
    "setfsgid",
    "setgroups",
    "capset",
    "unshare",
    "setns",
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "mount_setattr",
    "swapon",
    "swapoff",
    "reboot",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "keyctl",
    "add_key",
    "request_key",
    "sethostname",
    "setdomainname",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "acct",
    "quotactl",
    "syslog",
    "iopl",
    "ioperm",
    "personality",
    "lookup_dcookie",
    "vhangup",
    "nfsservctl",
};

constexpr uint32_t kRefused = SCMP_ACT_ERRNO(EPERM);

int ForbidByName(scmp_filter_ctx filter) {
  for (const char* const name : kForbidden) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;  // Not one of this processor's.
    if (const int error = seccomp_rule_add_array(filter, kRefused, number, 0, nullptr))
      return error;
  }
  return 0;
}

// Refuses `call` where argument number `argument`, under `mask`, is `value`.
int Forbid(scmp_filter_ctx filter, int call, unsigned argument, uint64_t mask, uint64_t value) {
  const scmp_arg_cmp when{argument, SCMP_CMP_MASKED_EQ, mask, value};
  return seccomp_rule_add_array(filter, kRefused, call, 1, &when);
}

int ForbidWriting(scmp_filter_ctx filter) {
  struct Flag {
    uint64_t mask;
    uint64_t value;
  };
  constexpr Flag kWriting[] = {
      {O_ACCMODE, O_WRONLY}, {O_ACCMODE, O_RDWR}, {O_CREAT, O_CREAT}, {O_TRUNC, O_TRUNC}};
  // openat2 hands its flags over in memory, where no filter can look: Landlock judges those.
  for (const Flag& flag : kWriting) {
    int error = Forbid(filter, SCMP_SYS(open), 1, flag.mask, flag.value);
    if (error == 0) error = Forbid(filter, SCMP_SYS(openat), 2, flag.mask, flag.value);
    if (error != 0) return error;
  }
  return 0;
}

int ForbidProcesses(scmp_filter_ctx filter) {
  // clone3 hands its flags over in memory; without it the C library makes threads by clone.
  const int error =
      seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, nullptr);
  return error != 0 ? error : Forbid(filter, SCMP_SYS(clone), 0, CLONE_THREAD, 0);
}

absl::Status Failed(int error) {
  return absl::InternalError(
      absl::StrCat("seccomp: the filter is refused: ", std::generic_category().message(-error)));
}

}  // namespace

absl::Status InstallSeccompFilter() {
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) {
    return absl::UnimplementedError("the kernel has no seccomp");
  }
  const Filter filter(seccomp_init(SCMP_ACT_ALLOW));
  if (filter == nullptr) return Failed(-ENOMEM);
  int error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  if (error == 0) error = ForbidByName(filter.get());
  if (error == 0) error = ForbidWriting(filter.get());
  if (error == 0) error = ForbidProcesses(filter.get());
  if (error == 0) error = seccomp_load(filter.get());
  return error == 0 ? absl::OkStatus() : Failed(error);
}

}  // namespace tensord
