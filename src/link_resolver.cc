#include "src/link_resolver.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_split.h"
#include "src/error.h"
#include "src/store_scan.h"

namespace tensord {
namespace {

constexpr int kMaxLinks = 40;  // As Linux has it.

void PushInFront(std::vector<std::string>& rest, absl::string_view path) {
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  rest.insert(rest.end(), std::make_move_iterator(parts.rbegin()),
              std::make_move_iterator(parts.rend()));
}

}  // namespace

LinkResolver::Link& LinkResolver::Look(const std::string& path) {
  const auto [it, is_new] = links_.try_emplace(path);
  if (is_new) it->second.target = root_.ReadLink(path);
  return it->second;
}

std::optional<std::string> LinkResolver::TargetOf(const std::string& path) {
  return Look(path).target;
}

absl::StatusOr<std::string> LinkResolver::Resolve(const std::string& real_directory,
                                                  const std::string& name) {
  std::string at = real_directory;
  std::vector<std::string> rest = {name};  // Components to walk, the next one last.
  int num_links = 0;
  while (!rest.empty()) {
    const std::string part = rest.back();
    rest.pop_back();
    if (absl::string_view(part) == ".") continue;
    if (absl::string_view(part) == "..") {
      // It may come back in, which only the host's paths can tell.
      if (at.empty()) return root_.Resolve(JoinPath(real_directory, name));
      at = ParentPath(at);
      continue;
    }
    std::string path = JoinPath(at, part);
    Link& link = Look(path);
    if (!link.target) {
      at = std::move(path);
      continue;
    }
    if (++num_links > kMaxLinks) {
      return MakeError(ErrorReason::kFileInvalid, "is a loop of symlinks");
    }
    link.is_passed |= num_links > 1 || !rest.empty();
    if (link.target->empty() || link.target->front() == '/') {
      return root_.Resolve(JoinPath(real_directory, name));
    }
    PushInFront(rest, *link.target);
  }
  return at;
}

bool LinkResolver::HasChanged() const {
  return std::any_of(links_.begin(), links_.end(), [this](const auto& entry) {
    return entry.second.is_passed && root_.ReadLink(entry.first) != entry.second.target;
  });
}

std::vector<std::string> LinkResolver::PassedDirectories() const {
  std::vector<std::string> directories;
  for (const auto& [path, link] : links_) {
    if (link.is_passed) directories.push_back(ParentPath(path));
  }
  std::sort(directories.begin(), directories.end());
  directories.erase(std::unique(directories.begin(), directories.end()), directories.end());
  return directories;
}

}  // namespace tensord
