#include "src/store_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "src/escape.h"
#include "src/hub_cache.h"
#include "src/utf8.h"

namespace tensord {
namespace {

constexpr absl::string_view kTensorsSuffix = ".safetensors";
constexpr absl::string_view kIndexInfix = ".safetensors.index";
constexpr std::array<absl::string_view, 5> kSideSuffixes = {".json", ".txt", ".model", ".jinja",
                                                            ".md"};

struct DirCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};

struct DirectoryPaths {
  std::string path;
  std::string real_path;
};

struct Child {
  std::string name;
  unsigned char type = DT_UNKNOWN;
};

bool IsPassedOver(absl::string_view name) {
  return name[0] == '.' || name == "blobs" || name == "refs" || name == "trees" ||
         absl::EndsWith(name, ".incomplete");
}

absl::string_view FaultOfType(unsigned char type) {
  switch (type) {
    case DT_REG:
      return "";
    case DT_DIR:
      return "is a directory, wanted a regular file";
    case DT_FIFO:
      return "is a FIFO, wanted a regular file";
    case DT_SOCK:
      return "is a socket, wanted a regular file";
    default:
      return "is a device, wanted a regular file";
  }
}

// The names that matter in an open directory, sorted, with their types; symlinks as such.
std::vector<Child> ListChildren(DIR* directory) {
  std::vector<Child> children;
  while (const dirent* entry = readdir(directory)) {
    if (IsPassedOver(entry->d_name)) continue;
    unsigned char type = entry->d_type;
    struct stat stat = {};
    if (type == DT_UNKNOWN &&
        fstatat(dirfd(directory), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
      type = static_cast<unsigned char>(IFTODT(stat.st_mode));
    }
    const bool may_be_directory = type == DT_DIR || type == DT_LNK;
    if (!may_be_directory && KindOf(entry->d_name) == FileKind::kOther) continue;
    children.push_back({entry->d_name, type});
  }
  std::sort(children.begin(), children.end(),
            [](const Child& a, const Child& b) { return a.name < b.name; });
  return children;
}

std::string LinkTarget(DIR* directory, const std::string& name) {
  std::array<char, PATH_MAX> target = {};
  const ssize_t size = readlinkat(dirfd(directory), name.c_str(), target.data(), target.size());
  return std::string(target.data(), size < 0 ? 0 : static_cast<size_t>(size));
}

// An absolute target is a path of the host: not for messages.
std::string FaultOfLink(const std::string& target, const absl::Status& status) {
  const std::string shown =
      absl::StartsWith(target, "/") ? "" : absl::StrCat(" to ", Quote(target));
  return absl::StrCat("is a symlink", shown, " that ",
                      absl::IsNotFound(status) ? "leads to no file" : status.message());
}

class Scanner {
 public:
  explicit Scanner(const StoreRoot& root) : root_(root) {}

  StoreScan Run() {
    Visit({"", ""});
    std::sort(scan_.directories.begin(), scan_.directories.end(),
              [](const auto& a, const auto& b) { return a.path < b.path; });
    return std::move(scan_);
  }

 private:
  void Visit(const DirectoryPaths& at);
  void VisitChildren(const DirectoryPaths& at, DIR* directory);
  void VisitLink(const DirectoryPaths& at, DIR* directory, const Child& child,
                 ScannedDirectory& found);
  void AddFile(ScannedDirectory& found, const std::string& name, FileDetails details);
  void Report(absl::string_view path, absl::string_view what);

  const StoreRoot& root_;
  StoreScan scan_;
  std::vector<std::string> ancestors_;  // Real paths of the directories being visited.
  size_t num_directories_ = 0;
  size_t num_files_ = 0;
};

void Scanner::Report(absl::string_view path, absl::string_view what) {
  Problem problem;
  problem.file = Escape(path);
  problem.reason = ErrorReason::kFileInvalid;
  problem.message = absl::StrCat(Quote(path), " ", what);
  scan_.problems.push_back(std::move(problem));
}

void Scanner::Visit(const DirectoryPaths& at) {
  if (ancestors_.size() >= kMaxScanDepth) {
    Report(at.path, absl::StrCat("is not scanned: it lies deeper than ", kMaxScanDepth, " levels"));
    return;
  }
  if (++num_directories_ > kMaxScanDirectories) {
    if (num_directories_ == kMaxScanDirectories + 1) {
      Report(at.path, absl::StrCat("and what follows is not scanned: the store has more than ",
                                   kMaxScanDirectories, " directories"));
    }
    return;
  }
  // A link back to an ancestor: everything below is listed already.
  if (std::find(ancestors_.begin(), ancestors_.end(), at.real_path) != ancestors_.end()) return;
  absl::StatusOr<OwnedFd> fd = root_.OpenDirectory(at.real_path);
  if (!fd.ok()) return Report(at.path, fd.status().message());
  const std::unique_ptr<DIR, DirCloser> directory(fdopendir(fd->get()));
  if (directory == nullptr) return Report(at.path, "cannot be listed");
  fd->Release();
  ancestors_.push_back(at.real_path);
  VisitChildren(at, directory.get());
  ancestors_.pop_back();
}

void Scanner::VisitChildren(const DirectoryPaths& at, DIR* directory) {
  ScannedDirectory found{at.path, at.real_path, {}};
  for (const Child& child : ListChildren(directory)) {
    if (!IsValidUtf8(child.name)) {
      Report(JoinPath(at.path, child.name), "is not served: its name is not UTF-8");
    } else if (child.type == DT_LNK) {
      VisitLink(at, directory, child, found);
    } else if (child.type == DT_DIR && KindOf(child.name) != FileKind::kTensors) {
      Visit({JoinPath(at.path, child.name), JoinPath(at.real_path, child.name)});
    } else {
      FileDetails details;
      details.fault = std::string(FaultOfType(child.type));
      AddFile(found, child.name, std::move(details));
    }
  }
  const bool has_models = std::any_of(found.files.begin(), found.files.end(), [](const auto& file) {
    return KindOf(file.name) != FileKind::kSide;
  });
  if (!has_models) return;
  found.files.shrink_to_fit();
  scan_.directories.push_back(std::move(found));
}

void Scanner::AddFile(ScannedDirectory& found, const std::string& name, FileDetails details) {
  if (++num_files_ > kMaxScanFiles) {
    if (num_files_ == kMaxScanFiles + 1) {
      Report(JoinPath(found.path, name),
             absl::StrCat("and what follows is not scanned: the store has more than ",
                          kMaxScanFiles, " files"));
    }
    return;
  }
  if (!details.fault.empty() && KindOf(name) == FileKind::kSide) return;
  ScannedFile file;
  file.name = name;
  if (!details.fault.empty() || !details.real_path.empty()) {
    file.special = std::make_unique<const FileDetails>(std::move(details));
  }
  found.files.push_back(std::move(file));
}

void Scanner::VisitLink(const DirectoryPaths& at, DIR* directory, const Child& child,
                        ScannedDirectory& found) {
  const FileKind kind = KindOf(child.name);
  const std::string path = JoinPath(at.path, child.name);
  const absl::StatusOr<std::string> real_path = root_.Resolve(path);
  struct stat stat = {};
  const bool exists = fstatat(dirfd(directory), child.name.c_str(), &stat, 0) == 0;
  const bool is_directory = exists && S_ISDIR(stat.st_mode) && kind != FileKind::kTensors;
  FileDetails details;
  if (!real_path.ok()) {
    details.fault = FaultOfLink(LinkTarget(directory, child.name), real_path.status());
    details.is_missing = absl::IsNotFound(real_path.status());
    if (is_directory) return Report(path, details.fault);
    if (kind != FileKind::kOther) AddFile(found, child.name, std::move(details));
    return;
  }
  if (is_directory) return Visit({path, *real_path});
  if (kind == FileKind::kOther || !exists) return;
  details.fault = std::string(FaultOfType(static_cast<unsigned char>(IFTODT(stat.st_mode))));
  details.real_path = *real_path;
  details.sha256 = HubBlobSha256(at.path, LinkTarget(directory, child.name));
  AddFile(found, child.name, std::move(details));
}

}  // namespace

FileKind KindOf(absl::string_view name) {
  if (name.empty() || name[0] == '.') return FileKind::kOther;
  if (absl::EndsWith(name, kTensorsSuffix)) return FileKind::kTensors;
  const size_t infix = name.find(kIndexInfix);
  if (infix != absl::string_view::npos && infix > 0 && absl::EndsWith(name, ".json") &&
      name[infix + kIndexInfix.size()] == '.') {
    return FileKind::kIndex;
  }
  for (const absl::string_view suffix : kSideSuffixes) {
    if (absl::EndsWith(name, suffix)) return FileKind::kSide;
  }
  return FileKind::kOther;
}

const FileDetails& ScannedFile::details() const {
  static const FileDetails kRegular;
  return special == nullptr ? kRegular : *special;
}

const ScannedFile* ScannedDirectory::Find(absl::string_view name) const {
  const auto it =
      std::lower_bound(files.begin(), files.end(), name,
                       [](const ScannedFile& file, absl::string_view n) { return file.name < n; });
  return it != files.end() && it->name == name ? &*it : nullptr;
}

std::string ScannedDirectory::RealPathOf(const ScannedFile& file) const {
  const std::string& linked = file.details().real_path;
  return linked.empty() ? JoinPath(real_path, file.name) : linked;
}

const ScannedDirectory* StoreScan::Find(absl::string_view path) const {
  const auto it = std::lower_bound(
      directories.begin(), directories.end(), path,
      [](const ScannedDirectory& directory, absl::string_view p) { return directory.path < p; });
  return it != directories.end() && it->path == path ? &*it : nullptr;
}

StoreScan ScanStore(const StoreRoot& root) { return Scanner(root).Run(); }

std::string JoinPath(absl::string_view directory, absl::string_view name) {
  return directory.empty() ? std::string(name) : absl::StrCat(directory, "/", name);
}

}  // namespace tensord
