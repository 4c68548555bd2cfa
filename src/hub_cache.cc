#include "src/hub_cache.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/store_scan.h"
#include "src/utf8.h"

namespace tensord {
namespace {

constexpr absl::string_view kModelsPrefix = "models--";
constexpr absl::string_view kSnapshots = "/snapshots/";
constexpr size_t kMaxCommitBytes = 256;  // A SHA-1 in hex is 40.
constexpr size_t kMaxRefDepth = 8;

struct DirCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirCloser>;

Directory OpenForListing(const StoreRoot& root, const std::string& real_path) {
  absl::StatusOr<OwnedFd> fd = root.OpenDirectory(real_path);
  if (!fd.ok()) return nullptr;
  Directory directory(fdopendir(fd->get()));
  if (directory != nullptr) fd->Release();
  return directory;
}

// "" when the file cannot be read or is no single line.
std::string ReadCommit(const StoreRoot& root, const std::string& path) {
  const absl::StatusOr<OwnedFd> fd = root.OpenFile(path);
  if (!fd.ok()) return "";
  std::array<char, kMaxCommitBytes + 1> text = {};
  const ssize_t got = pread(fd->get(), text.data(), text.size(), 0);
  if (got <= 0 || static_cast<size_t>(got) > kMaxCommitBytes) return "";
  return std::string(absl::StripAsciiWhitespace(absl::string_view(text.data(), got)));
}

using Visitor = absl::FunctionRef<void(const std::string& real_path)>;

void ReadRefsBelow(const StoreRoot& root, const std::string& at, const std::string& prefix,
                   size_t depth, Visitor visit, std::vector<HubRef>& refs) {
  visit(at);
  const Directory directory = OpenForListing(root, at);
  if (directory == nullptr || depth > kMaxRefDepth) return;
  while (const dirent* entry = readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name[0] == '.' || !IsValidUtf8(name) || refs.size() >= kMaxHubRefs) continue;
    const std::string ref = JoinPath(prefix, name);
    if (entry->d_type == DT_DIR) {
      ReadRefsBelow(root, JoinPath(at, name), ref, depth + 1, visit, refs);
    } else if (std::string commit = ReadCommit(root, JoinPath(at, name)); !commit.empty()) {
      refs.push_back({ref, std::move(commit)});
    }
  }
}

bool HasIncompleteBlobs(const StoreRoot& root, const std::string& path) {
  const Directory blobs = OpenForListing(root, path);
  if (blobs == nullptr) return false;
  while (const dirent* entry = readdir(blobs.get())) {
    if (absl::EndsWith(entry->d_name, ".incomplete")) return true;
  }
  return false;
}

}  // namespace

std::optional<HubPath> ParseHubPath(absl::string_view path) {
  for (size_t snapshots = path.find(kSnapshots); snapshots != absl::string_view::npos;
       snapshots = path.find(kSnapshots, snapshots + 1)) {
    HubPath parts;
    parts.repository = path.substr(0, snapshots);
    const size_t slash = parts.repository.rfind('/');
    const bool at_root = slash == absl::string_view::npos;
    parts.parent = parts.repository.substr(0, at_root ? 0 : slash);
    parts.folder = parts.repository.substr(at_root ? 0 : slash + 1);
    if (!absl::StartsWith(parts.folder, kModelsPrefix)) continue;
    if (parts.folder.size() == kModelsPrefix.size()) continue;
    const absl::string_view below = path.substr(snapshots + kSnapshots.size());
    const size_t end = below.find('/');
    parts.commit = below.substr(0, end);
    parts.rest = end == absl::string_view::npos ? "" : below.substr(end + 1);
    return parts;
  }
  return std::nullopt;
}

std::string EncodeId(absl::string_view path) {
  return absl::StrReplaceAll(path, {{"%", "%25"}, {"@", "%40"}});
}

std::string HubRepositoryId(const HubPath& path) {
  const absl::string_view name = path.folder.substr(kModelsPrefix.size());
  const size_t dashes = name.find("--");
  if (dashes == absl::string_view::npos) return JoinPath(EncodeId(path.parent), EncodeId(name));
  return JoinPath(EncodeId(path.parent), absl::StrCat(EncodeId(name.substr(0, dashes)), "/",
                                                      EncodeId(name.substr(dashes + 2))));
}

std::string DirectoryId(absl::string_view path) {
  const std::optional<HubPath> hub = ParseHubPath(path);
  if (!hub) return EncodeId(path);
  std::string id = absl::StrCat(HubRepositoryId(*hub), "@", EncodeId(hub->commit));
  return hub->rest.empty() ? id : absl::StrCat(id, "/", EncodeId(hub->rest));
}

HubRepository ReadHubRepository(const StoreRoot& root, const std::string& repository,
                                Visitor visit) {
  HubRepository result;
  result.path = repository;
  ReadRefsBelow(root, JoinPath(repository, "refs"), "", 0, visit, result.refs);
  std::sort(result.refs.begin(), result.refs.end(),
            [](const HubRef& a, const HubRef& b) { return a.name < b.name; });
  const std::string blobs = JoinPath(repository, "blobs");
  visit(blobs);
  result.has_incomplete_blobs = HasIncompleteBlobs(root, blobs);
  return result;
}

std::string HubBlobSha256(absl::string_view directory, absl::string_view target) {
  constexpr absl::string_view kBlobs = "/blobs/";
  constexpr size_t kHexDigits = 64;
  if (!ParseHubPath(directory) || target.size() < kHexDigits + kBlobs.size()) return "";
  const absl::string_view blob = target.substr(target.size() - kHexDigits);
  const absl::string_view before = target.substr(0, target.size() - kHexDigits);
  const bool is_hash = std::all_of(blob.begin(), blob.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
  });
  return is_hash && absl::EndsWith(before, kBlobs) ? std::string(blob) : "";
}

}  // namespace tensord
