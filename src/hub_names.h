// Which snapshot of the hub's cache a name without commit means.
#pragma once

#include <vector>

#include "src/name_table.h"
#include "src/store_root.h"
#include "src/store_scan.h"

namespace tensord {

// Whether every file of the group is there, as far as names tell; headers are not read.
bool IsGroupComplete(const StoreScan& scan, const ScannedDirectory& directory,
                     const FileGroup& group);

// The aliases of all repositories in one store: "ORG/NAME@REF" for each ref, "ORG/NAME" for what
// refs/main says, or for the only snapshot, or for all of them when there is no refs/main. While
// main's snapshot is not complete its name stays on the newest other one that is. `directories` and
// `models` are those of this store alone, still without the store's name; models refer to
// directories by index.
std::vector<PrefixAlias> HubAliases(const StoreRoot& root, const StoreScan& scan,
                                    const std::vector<NamedDirectory>& directories,
                                    const std::vector<NamedModel>& models);

}  // namespace tensord
