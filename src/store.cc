#include "src/store.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

// A store may be a symlink that is swapped, as git-sync's: seen in the directory that holds it.
void WatchLink(std::string path, WatchDirectory watch) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return;
  const size_t slash = path.rfind('/');
  watch(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

// The store as it is now. A scan that finds what the one before found, `known` or null, is that
// one's object.
absl::StatusOr<Store> ScanOneStore(const StoreOptions& options, const Store* known,
                                   WatchDirectory watch) {
  Store store;
  store.name = options.name;
  WatchLink(options.path, watch);
  TENSORD_ASSIGN_OR_RETURN(store.root, StoreRoot::Open(options.path));
  if (known != nullptr && known->root->IsSameAs(*store.root)) {
    store.root = known->root;
  } else {
    known = nullptr;
  }
  store.scan = std::make_shared<const StoreScan>(
      ScanStore(*store.root, known == nullptr ? nullptr : known->scan.get(),
                [&](const std::string& path) { watch(store.root->HostPath(path)); }));
  if (known != nullptr && IsSameScan(*known->scan, *store.scan)) store.scan = known->scan;
  return store;
}

}  // namespace

absl::Status CheckStoreNames(const std::vector<StoreOptions>& stores) {
  std::set<std::string> names;
  for (const StoreOptions& store : stores) {
    const bool is_valid = std::all_of(store.name.begin(), store.name.end(), [](unsigned char c) {
      return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
    });
    if (!is_valid) {
      return MakeError(ErrorReason::kBadRequest,
                       absl::StrCat("store name ", Quote(store.name),
                                    " may hold letters, digits, `.`, `_` and `-` only"));
    }
    if (store.name.empty() && stores.size() > 1) {
      return MakeError(ErrorReason::kBadRequest,
                       absl::StrCat("store ", Quote(store.path),
                                    " needs a name, because there are several: NAME=DIR"));
    }
    if (!names.insert(store.name).second) {
      return MakeError(ErrorReason::kBadRequest,
                       absl::StrCat("two stores have the name ", Quote(store.name)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Store>> ScanStores(const std::vector<StoreOptions>& options,
                                              WatchDirectory watch) {
  std::vector<Store> stores;
  for (const StoreOptions& each : options) {
    TENSORD_ASSIGN_OR_RETURN(Store store, ScanOneStore(each, nullptr, watch));
    stores.push_back(std::move(store));
  }
  return stores;
}

std::vector<Store> RescanStores(const std::vector<StoreOptions>& options,
                                const std::vector<Store>& before, WatchDirectory watch,
                                absl::Status& status) {
  std::vector<Store> stores;
  for (size_t i = 0; i < options.size(); ++i) {
    absl::StatusOr<Store> store = ScanOneStore(options[i], &before[i], watch);
    status.Update(store.status());
    stores.push_back(store.ok() ? *std::move(store) : before[i]);
  }
  return stores;
}

bool AreSame(const std::vector<Store>& a, const std::vector<Store>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Store& x, const Store& y) {
    return x.root == y.root && x.scan == y.scan;
  });
}

}  // namespace tensord
