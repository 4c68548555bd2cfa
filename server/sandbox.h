// What the process gives up before it meets its first client.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/landlock.h"

namespace tensord {

enum class SandboxMode {
  kAuto,     // What the kernel has.
  kRequire,  // All of it, or an error.
  kOff,
};

// A program's way into its sandbox, in two steps, because Landlock binds only threads that begin
// after it, and seccomp would forbid the sockets that a server begins with.
class Sandbox {
 public:
  explicit Sandbox(SandboxMode mode) : mode_(mode) {}

  // Confines what can be opened to `rules` and to what the system's libraries read; before the
  // process has a second thread. Errors: UNIMPLEMENTED where it is required and the kernel has no
  // Landlock; INTERNAL.
  absl::Status ConfineFiles(LandlockRules rules);

  // Confines what can be asked of the kernel, for all threads; after all addresses are listened at.
  // Errors: as ConfineFiles, of seccomp.
  absl::Status ConfineCalls();

  // For the log: "landlock 7, seccomp", "seccomp" or "none".
  std::string parts() const;

 private:
  const SandboxMode mode_;
  std::vector<std::string> parts_;
};

// What must be readable so that `path` can be read now and after it was replaced: `path` itself,
// what it leads to, and where it leads through a symlink, the directories that hold link and target
// (kubelet swaps such links).
std::vector<std::string> ReadableFor(const std::string& path);

}  // namespace tensord
