#include "src/store_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/link_resolver.h"
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

// Scans that a change of symlinks may spoil before the last one is taken as it is.
constexpr int kMaxScans = 3;

// `lost+found` is root's in the root of each ext4 volume: nobody's model, and no problem.
bool IsPassedOver(absl::string_view name) {
  return name[0] == '.' || name == "blobs" || name == "refs" || name == "trees" ||
         name == "lost+found" || absl::EndsWith(name, ".incomplete");
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

// The names that matter in an open directory, sorted, with their types; symlinks as such. errno is
// 0 unless the list is cut short.
std::vector<Child> ListChildren(DIR* directory) {
  std::vector<Child> children;
  errno = 0;
  while (const dirent* entry = readdir(directory)) {
    if (IsPassedOver(entry->d_name)) continue;
    unsigned char type = entry->d_type;
    struct stat stat = {};
    if (type == DT_UNKNOWN &&
        fstatat(dirfd(directory), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
      type = static_cast<unsigned char>(IFTODT(stat.st_mode));
    }
    errno = 0;
    const bool may_be_directory = type == DT_DIR || type == DT_LNK;
    if (!may_be_directory && KindOf(entry->d_name) == FileKind::kOther) continue;
    children.push_back({entry->d_name, type});
  }
  const int error = errno;
  std::sort(children.begin(), children.end(),
            [](const Child& a, const Child& b) { return a.name < b.name; });
  errno = error;
  return children;
}

// Errors that say nothing of what is there.
bool IsTransient(int error) {
  return error == EIO || error == ESTALE || error == EMFILE || error == ENFILE || error == ENOMEM ||
         error == ETIMEDOUT || error == ENOTCONN || error == EHOSTDOWN;
}

FileIdentity IdentityOrNone(const struct stat& status) {
  return IdentityOf(status).value_or(FileIdentity());
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
  Scanner(const StoreRoot& root, const StoreScan* previous, DirectoryVisitor visit)
      : root_(root), previous_(previous), visit_(visit), links_(root) {}

  StoreScan Run() {
    Visit({"", ""});
    for (const std::string& directory : links_.PassedDirectories()) Announce(directory);
    std::sort(scan_.directories.begin(), scan_.directories.end(),
              [](const auto& a, const auto& b) { return a->path < b->path; });
    ReadRepositories();
    return std::move(scan_);
  }

  // Whether symlinks were swapped meanwhile, so that what they lead to may be gone.
  bool is_spoilt() const { return links_.HasChanged(); }

 private:
  void Announce(const std::string& real_path);
  void Visit(const DirectoryPaths& at);
  void VisitChildren(const DirectoryPaths& at, DIR* directory);
  void VisitFile(DIR* directory, const Child& child, ScannedDirectory& found);
  void VisitLink(const DirectoryPaths& at, const Child& child, ScannedDirectory& found);
  void AddFile(ScannedDirectory& found, ScannedFile file, FileDetails details);
  void AddDirectory(ScannedDirectory found);
  void ReadRepositories();
  void Report(absl::string_view path, absl::string_view what,
              ErrorReason reason = ErrorReason::kFileInvalid);
  void Fail(absl::string_view path, int error);

  const StoreRoot& root_;
  const StoreScan* const previous_;
  const DirectoryVisitor visit_;
  LinkResolver links_;
  StoreScan scan_;
  std::vector<std::string> ancestors_;  // Real paths of the directories being visited.
  absl::flat_hash_set<std::string> announced_;
  size_t num_directories_ = 0;
  size_t num_files_ = 0;
};

void Scanner::Announce(const std::string& real_path) {
  if (announced_.insert(real_path).second) visit_(real_path);
}

void Scanner::Report(absl::string_view path, absl::string_view what, ErrorReason reason) {
  Problem problem;
  problem.file = Escape(path);
  problem.reason = reason;
  problem.message = absl::StrCat(Quote(path), " ", what);
  scan_.problems.push_back(std::move(problem));
}

void Scanner::Fail(absl::string_view path, int error) {
  Report(path, absl::StrCat("cannot be listed: ", std::generic_category().message(error)),
         ErrorReason::kReadError);
  if (!IsTransient(error)) return;
  scan_.is_partial = true;
  if (previous_ == nullptr) return;
  for (const std::shared_ptr<const ScannedDirectory>& known : previous_->directories) {
    const bool is_below = path.empty() || known->path == path ||
                          absl::StartsWith(known->path, absl::StrCat(path, "/"));
    if (is_below) scan_.directories.push_back(known);
  }
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
  Announce(at.real_path);
  absl::StatusOr<OwnedFd> fd = root_.OpenDirectory(at.real_path);
  const int error = errno;
  if (!fd.ok() && IsTransient(error)) return Fail(at.path, error);
  // Gone since its parent was listed: no problem, but the next scan's news.
  if (absl::IsNotFound(fd.status())) return;
  if (!fd.ok()) {
    return Report(at.path, absl::StrCat(fd.status().message(), "; models in it are not served"),
                  ReasonOf(fd.status()));
  }
  const std::unique_ptr<DIR, DirCloser> directory(fdopendir(fd->get()));
  if (directory == nullptr) return Fail(at.path, errno);
  fd->Release();
  ancestors_.push_back(at.real_path);
  VisitChildren(at, directory.get());
  ancestors_.pop_back();
}

void Scanner::VisitChildren(const DirectoryPaths& at, DIR* directory) {
  ScannedDirectory found{at.path, at.real_path, {}};
  const std::vector<Child> children = ListChildren(directory);
  if (errno != 0) return Fail(at.path, errno);
  for (const Child& child : children) {
    if (!IsValidUtf8(child.name)) {
      Report(JoinPath(at.path, child.name), "is not served: its name is not UTF-8");
    } else if (child.type == DT_LNK) {
      VisitLink(at, child, found);
    } else if (child.type == DT_DIR && KindOf(child.name) != FileKind::kTensors) {
      Visit({JoinPath(at.path, child.name), JoinPath(at.real_path, child.name)});
    } else {
      VisitFile(directory, child, found);
    }
  }
  const bool has_models = std::any_of(found.files.begin(), found.files.end(), [](const auto& file) {
    return KindOf(file.name) != FileKind::kSide;
  });
  if (!has_models) return;
  AddDirectory(std::move(found));
}

// One object for what does not change, so that whoever holds it knows by its address.
void Scanner::AddDirectory(ScannedDirectory found) {
  if (previous_ != nullptr) {
    const std::shared_ptr<const ScannedDirectory> known = previous_->FindShared(found.path);
    if (known != nullptr && *known == found) return scan_.directories.push_back(known);
  }
  found.files.shrink_to_fit();
  scan_.directories.push_back(std::make_shared<const ScannedDirectory>(std::move(found)));
}

void Scanner::VisitFile(DIR* directory, const Child& child, ScannedDirectory& found) {
  ScannedFile file;
  FileDetails details;
  details.fault = std::string(FaultOfType(child.type));
  struct stat status = {};
  if (details.fault.empty()) {
    // Gone since it was listed: no file. Unknown for any other reason: reading it will tell.
    const int got = fstatat(dirfd(directory), child.name.c_str(), &status, AT_SYMLINK_NOFOLLOW);
    if (got != 0 && errno == ENOENT) return;
    if (got == 0) file.identity = IdentityOrNone(status);
  }
  file.name = child.name;
  AddFile(found, std::move(file), std::move(details));
}

void Scanner::AddFile(ScannedDirectory& found, ScannedFile file, FileDetails details) {
  if (++num_files_ > kMaxScanFiles) {
    if (num_files_ == kMaxScanFiles + 1) {
      Report(JoinPath(found.path, file.name),
             absl::StrCat("and what follows is not scanned: the store has more than ",
                          kMaxScanFiles, " files"));
    }
    return;
  }
  if (!details.fault.empty() && KindOf(file.name) == FileKind::kSide) return;
  if (!details.fault.empty() || !details.real_path.empty()) {
    file.special = std::make_unique<const FileDetails>(std::move(details));
  }
  found.files.push_back(std::move(file));
}

void Scanner::VisitLink(const DirectoryPaths& at, const Child& child, ScannedDirectory& found) {
  const FileKind kind = KindOf(child.name);
  const std::string path = JoinPath(at.path, child.name);
  const std::string link = JoinPath(at.real_path, child.name);
  const absl::StatusOr<std::string> real_path = links_.Resolve(at.real_path, child.name);
  absl::Status status = real_path.status();
  // What the symlinks meant when they were read: following them anew may lead elsewhere by now.
  const std::optional<struct stat> stat = real_path.ok() ? root_.Stat(*real_path) : std::nullopt;
  if (real_path.ok() && !stat) status = MakeError(ErrorReason::kFileNotFound, "does not exist");
  FileDetails details;
  if (!status.ok()) {
    details.fault = FaultOfLink(links_.TargetOf(link).value_or(""), status);
    details.is_missing = absl::IsNotFound(status);
    if (kind != FileKind::kOther) {
      AddFile(found, {child.name, {}, nullptr}, std::move(details));
    } else if (!details.is_missing && root_.IsDirectory(link)) {
      Report(path, details.fault);
    }
    return;
  }
  if (S_ISDIR(stat->st_mode) && kind != FileKind::kTensors) {
    links_.MarkPassed(link);
    return Visit({path, *real_path});
  }
  if (kind == FileKind::kOther) return;
  Announce(ParentPath(*real_path));
  details.fault = std::string(FaultOfType(static_cast<unsigned char>(IFTODT(stat->st_mode))));
  details.real_path = *real_path;
  details.sha256 = HubBlobSha256(at.path, links_.TargetOf(link).value_or(""));
  AddFile(found, {child.name, IdentityOrNone(*stat), nullptr}, std::move(details));
}

void Scanner::ReadRepositories() {
  for (const std::shared_ptr<const ScannedDirectory>& directory : scan_.directories) {
    const std::optional<HubPath> path = ParseHubPath(directory->path);
    if (!path) continue;
    if (!scan_.repositories.empty() && scan_.repositories.back().path == path->repository) continue;
    scan_.repositories.push_back(
        ReadHubRepository(root_, std::string(path->repository),
                          [this](const std::string& real_path) { Announce(real_path); }));
  }
  std::sort(scan_.repositories.begin(), scan_.repositories.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  const auto end = std::unique(scan_.repositories.begin(), scan_.repositories.end(),
                               [](const auto& a, const auto& b) { return a.path == b.path; });
  scan_.repositories.erase(end, scan_.repositories.end());
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

std::shared_ptr<const ScannedDirectory> StoreScan::FindShared(absl::string_view path) const {
  const auto it = std::lower_bound(
      directories.begin(), directories.end(), path,
      [](const auto& directory, absl::string_view p) { return directory->path < p; });
  return it != directories.end() && (*it)->path == path ? *it : nullptr;
}

const ScannedDirectory* StoreScan::Find(absl::string_view path) const {
  return FindShared(path).get();
}

StoreScan ScanStore(const StoreRoot& root, const StoreScan* previous, DirectoryVisitor visit) {
  for (int scans = 1;; ++scans) {
    Scanner scanner(root, previous, visit);
    StoreScan scan = scanner.Run();
    if (!scanner.is_spoilt() || scans == kMaxScans) return scan;
  }
}

bool IsSameScan(const StoreScan& a, const StoreScan& b) {
  const auto same_problem = [](const Problem& x, const Problem& y) {
    return x.file == y.file && x.reason == y.reason && x.message == y.message;
  };
  return a.directories == b.directories && a.repositories == b.repositories &&
         std::equal(a.problems.begin(), a.problems.end(), b.problems.begin(), b.problems.end(),
                    same_problem);
}

std::string ParentPath(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? "" : std::string(path.substr(0, slash));
}

std::string JoinPath(absl::string_view directory, absl::string_view name) {
  return directory.empty() ? std::string(name) : absl::StrCat(directory, "/", name);
}

}  // namespace tensord
