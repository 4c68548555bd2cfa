// Lists what a store holds: names only, nothing is opened but directories.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "src/model.h"
#include "src/store_root.h"

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
};

struct ScannedFile {
  std::string name;                            // In its directory; UTF-8.
  std::unique_ptr<const FileDetails> special;  // Null for a regular file, which is nearly all.

  const FileDetails& details() const;
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
};

struct StoreScan {
  std::vector<ScannedDirectory> directories;  // In order of path.
  std::vector<Problem> problems;              // `file` is the escaped path from the root.

  // Null when there is none of this path.
  const ScannedDirectory* Find(absl::string_view path) const;
};

// Lists the store. Symlinks that stay inside are followed, loops are cut; hidden names, `blobs`,
// `refs`, `trees` and `*.incomplete` are passed over. What cannot be named (not UTF-8) or listed is
// a problem.
StoreScan ScanStore(const StoreRoot& root);

// `directory` "/" `name`, or `name` alone in the root.
std::string JoinPath(absl::string_view directory, absl::string_view name);

}  // namespace tensord
