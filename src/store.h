// The directories that are served, and what is in them at one moment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "src/store_root.h"
#include "src/store_scan.h"

namespace tensord {

// `--store DIR` (no name: its models stand at the top) or `--store NAME=DIR`.
struct StoreOptions {
  std::string name;  // Matches [A-Za-z0-9._-]+, or empty.
  std::string path;
};

// Is told of each directory, by its path on the host, before it is looked into.
using WatchDirectory = absl::FunctionRef<void(const std::string& host_path)>;

struct Store {
  std::string name;  // Stands before all ids; "" for the only store without one.
  std::shared_ptr<const StoreRoot> root;
  std::shared_ptr<const StoreScan> scan;
};

// INVALID_ARGUMENT for a bad or repeated name, or several stores of which one has none.
absl::Status CheckStoreNames(const std::vector<StoreOptions>& stores);

// The error of the first that is not a readable directory.
absl::StatusOr<std::vector<Store>> ScanStores(const std::vector<StoreOptions>& options,
                                              WatchDirectory watch);

// The same stores as they are now. A scan that finds what the one `before` found is that one's
// object. One that cannot be scanned stays as it was before, and `status` says why.
std::vector<Store> RescanStores(const std::vector<StoreOptions>& options,
                                const std::vector<Store>& before, WatchDirectory watch,
                                absl::Status& status);

// Whether no scan has found anything new.
bool AreSame(const std::vector<Store>& a, const std::vector<Store>& b);

}  // namespace tensord
