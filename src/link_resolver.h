// Follows symlinks so that each has one meaning throughout a scan.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "src/store_root.h"

namespace tensord {

// Remembers what each symlink said when it was first met: while `..data` is swapped, all files of
// one scan still come from the same set. For one thread.
class LinkResolver {
 public:
  explicit LinkResolver(const StoreRoot& root) : root_(root) {}

  // The real path of `name` in the directory at `real_directory`, both relative to the root.
  // Errors as StoreRoot::Resolve.
  absl::StatusOr<std::string> Resolve(const std::string& real_directory, const std::string& name);

  // What the symlink at this real path says, nullopt when it is none. Not for "".
  std::optional<std::string> TargetOf(const std::string& path);

  // Others lead through the symlink at this real path.
  void MarkPassed(const std::string& path) { Look(path).is_passed = true; }

  // Whether a symlink that others lead through says something else by now.
  bool HasChanged() const;

  // Real paths of the directories that hold symlinks which others lead through.
  std::vector<std::string> PassedDirectories() const;

 private:
  struct Link {
    std::optional<std::string> target;
    bool is_passed = false;  // Others lead through it.
  };

  Link& Look(const std::string& path);

  const StoreRoot& root_;
  absl::flat_hash_map<std::string, Link> links_;
};

}  // namespace tensord
