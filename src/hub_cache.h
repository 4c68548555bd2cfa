// The Hugging Face hub's cache: `models--ORG--NAME/snapshots/COMMIT/...` read as
// `ORG/NAME@COMMIT/...`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "src/store_root.h"

namespace tensord {

// Refs of one repository that are read; honest ones have a handful.
inline constexpr size_t kMaxHubRefs = 10'000;

// A directory inside a snapshot, taken apart. Views into the path.
struct HubPath {
  absl::string_view repository;  // Path of the repository's folder.
  absl::string_view parent;      // What stands before the repository's folder, often "".
  absl::string_view folder;      // "models--ORG--NAME".
  absl::string_view commit;
  absl::string_view rest;  // Below the snapshot; "" is the snapshot itself.
};

// Nullopt for a directory that is in no snapshot.
std::optional<HubPath> ParseHubPath(absl::string_view path);

// "ORG/NAME" below `parent`, percent-encoded.
std::string HubRepositoryId(const HubPath& path);

// The id of directory `path`: "ORG/NAME@COMMIT/REST" in a snapshot, else the path, percent-encoded.
std::string DirectoryId(absl::string_view path);

// `@` and `%` as %40 and %25, because ids give `@` a meaning.
std::string EncodeId(absl::string_view path);

struct HubRef {
  std::string name;  // "main", "refs/pr/3"; as its path below `refs`.
  std::string commit;

  friend bool operator==(const HubRef&, const HubRef&) = default;
};

// What stands beside a repository's snapshots.
struct HubRepository {
  std::string path;          // Of its folder in the store, without symlinks behind the root.
  std::vector<HubRef> refs;  // In order of name.
  bool has_incomplete_blobs = false;

  friend bool operator==(const HubRepository&, const HubRepository&) = default;
};

// The refs of the repository at `repository`, nested ones included, sorted by name, and whether a
// download into it is under way or was left: `blobs` has a `*.incomplete`. What cannot be read is
// left out. Symlinks are not followed: the hub writes none here. `visit` is told of each directory
// before it is read.
HubRepository ReadHubRepository(const StoreRoot& root, const std::string& repository,
                                absl::FunctionRef<void(const std::string& real_path)> visit);

// The SHA-256 that the hub's blob name tells, when a link in `directory` of a snapshot has `target`
// ".../blobs/<64 hex digits>"; else "".
std::string HubBlobSha256(absl::string_view directory, absl::string_view target);

}  // namespace tensord
