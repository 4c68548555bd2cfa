// Lists what a store holds: names and identities, nothing is opened but directories.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "src/file_identity.h"
#include "src/hub_cache.h"
#include "src/store_root.h"
#include "tensord/model_info.h"

namespace tensord {

// Deeper than any honest tree (a hub cache needs 5), shallow enough for recursion.
inline constexpr size_t kMaxScanDepth = 32;
// A store of 50,000 adapters has 50,000 directories; symlinks could make 2^32 of a few.
inline constexpr size_t kMaxScanDirectories = 200'000;
inline constexpr size_t kMaxScanFiles = 1'000'000;

enum class FileKind { kTensors, kIndex, kSide, kOther };

// By its name alone: `*.safetensors`, `*.safetensors.index[.VARIANT].json`, or what a loader reads
// beside a model (never code).
FileKind KindOf(absl::string_view name);

// What is to say of a symlink or of anything but a regular file.
struct FileDetails {
  std::string real_path;  // Where its symlinks lead; empty: no symlink, it is in real_path below.
  std::string sha256;     // 64 hex digits when it links to a hub blob named so, else empty.
  std::string fault;      // Why it is not a regular file, as a predicate ("is a FIFO"); else empty.
  bool is_missing = false;  // The fault is a symlink that leads nowhere.

  friend bool operator==(const FileDetails&, const FileDetails&) = default;
};

struct ScannedFile {
  std::string name;       // In its directory; UTF-8.
  FileIdentity identity;  // At the time of the scan; zeros for what has a fault.
  std::unique_ptr<const FileDetails> special;  // Null for a regular file, which is nearly all.

  const FileDetails& details() const;

  friend bool operator==(const ScannedFile& a, const ScannedFile& b) {
    return a.name == b.name && a.identity == b.identity && a.details() == b.details();
  }
};

// A directory that holds at least one tensor or index file.
struct ScannedDirectory {
  std::string path;                // From the root as scanned, through symlinks; "" is the root.
  std::string real_path;           // Without symlinks.
  std::vector<ScannedFile> files;  // In order of name; no kOther.

  // Null when there is none of this name.
  const ScannedFile* Find(absl::string_view name) const;
  // Relative to the root, without symlinks.
  std::string RealPathOf(const ScannedFile& file) const;

  friend bool operator==(const ScannedDirectory&, const ScannedDirectory&) = default;
};

struct StoreScan {
  // In order of path. Those that are as a scan before found them are that scan's objects.
  std::vector<std::shared_ptr<const ScannedDirectory>> directories;
  std::vector<HubRepository> repositories;  // Those with snapshots, in order of path.
  std::vector<Problem> problems;            // `file` is the escaped path from the root.

  // A directory could not be listed for a reason that may pass soon.
  bool is_partial = false;

  // Null when there is none of this path.
  const ScannedDirectory* Find(absl::string_view path) const;
  std::shared_ptr<const ScannedDirectory> FindShared(absl::string_view path) const;
};

// Is told of each directory, by its real path, before the scan looks into it.
using DirectoryVisitor = absl::FunctionRef<void(const std::string& real_path)>;

// Lists the store. What is as in `previous`, which may be null, is taken from there; so is what a
// directory held that cannot be listed now for reasons that say nothing of it (an I/O error).
// Symlinks that stay inside are followed, loops are cut; hidden names, `blobs`, `refs`, `trees`,
// `lost+found` and `*.incomplete` are passed over. What cannot be named (not UTF-8) or listed is a
// problem.
StoreScan ScanStore(const StoreRoot& root, const StoreScan* previous, DirectoryVisitor visit);

// Whether both found the same: nothing that a catalog is made of has changed.
bool IsSameScan(const StoreScan& a, const StoreScan& b);

// What stands before the last slash of `path`, "" where there is none.
std::string ParentPath(absl::string_view path);

// `directory` "/" `name`, or `name` alone in the root.
std::string JoinPath(absl::string_view directory, absl::string_view name);

}  // namespace tensord
