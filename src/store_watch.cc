#include "src/store_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tensord {
namespace {

constexpr uint32_t kContentEvents = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;
constexpr uint32_t kEvents = kContentEvents | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW;

// A download under way writes all the time into files that are not served.
bool IsOfNoInterest(uint32_t mask, absl::string_view name) {
  if ((mask & ~(kContentEvents | IN_ISDIR)) != 0 || name.empty()) return false;
  return name.front() == '.' || absl::EndsWith(name, ".incomplete") ||
         absl::EndsWith(name, ".lock");
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoreWatch>> StoreWatch::Create(size_t max_watches) {
  OwnedFd fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (fd.get() < 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no inotify instance: ", std::generic_category().message(errno)));
  }
  return std::unique_ptr<StoreWatch>(new StoreWatch(std::move(fd), max_watches));
}

void StoreWatch::BeginScan() {
  ++scan_;
  is_complete_ = true;
}

void StoreWatch::Add(const std::string& host_path) {
  const auto known = watches_.find(host_path);
  if (known != watches_.end() && !known->second.is_stale) {
    known->second.scan = scan_;
    return;
  }
  if (known == watches_.end() && watches_.size() >= max_watches_) {
    is_complete_ = false;
    return;
  }
  const int descriptor = inotify_add_watch(fd_.get(), host_path.c_str(), kEvents);
  if (descriptor < 0) {
    // ENOENT and ENOTDIR: gone since it was listed, and the scan will see that too.
    if (errno != ENOENT && errno != ENOTDIR) is_complete_ = false;
    return;
  }
  watches_[host_path] = {descriptor, scan_, false};
  paths_[descriptor] = host_path;
}

void StoreWatch::EndScan() {
  absl::erase_if(watches_, [this](const auto& entry) {
    const Watch& watch = entry.second;
    if (watch.scan == scan_) return false;
    const auto path = paths_.find(watch.descriptor);
    if (path != paths_.end() && path->second == entry.first) {
      inotify_rm_watch(fd_.get(), watch.descriptor);
      paths_.erase(path);
    }
    return true;
  });
}

void StoreWatch::Forget(int descriptor) {
  const auto path = paths_.find(descriptor);
  if (path == paths_.end()) return;
  const auto watch = watches_.find(path->second);
  if (watch != watches_.end() && watch->second.descriptor == descriptor) watches_.erase(watch);
  paths_.erase(path);
}

void StoreWatch::MarkAllStale() {
  for (auto& [path, watch] : watches_) watch.is_stale = true;
}

bool StoreWatch::TakeEvents() {
  alignas(inotify_event) std::array<char, 64 << 10> buffer;
  bool has_news = false;
  while (true) {
    const ssize_t got = read(fd_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return has_news;
    for (ssize_t at = 0; at < got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & IN_IGNORED) != 0) {
        Forget(event->wd);
        continue;
      }
      // Directories moved: watches stay with them, while paths now lead elsewhere. After an
      // overflow nobody knows.
      if ((event->mask & (IN_MOVE_SELF | IN_Q_OVERFLOW)) != 0) MarkAllStale();
      has_news |= !IsOfNoInterest(event->mask, event->len > 0 ? event->name : "");
    }
  }
}

}  // namespace tensord
