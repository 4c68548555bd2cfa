// What a catalog is made of: what scans found in each store, grouped and named.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/name_table.h"
#include "src/store.h"
#include "tensord/model_info.h"

namespace tensord {

struct Inventory {
  std::vector<Store> stores;
  std::vector<NamedDirectory> directories;
  std::vector<NamedModel> models;  // In order of id.
  std::vector<PrefixAlias> aliases;
  std::vector<Problem> problems;
};

// Groups the files of all directories and names the groups. A directory that `previous`, which may
// be null, has as the same object is not grouped again, so that its index is not read.
Inventory TakeInventory(std::vector<Store> stores, const Inventory* previous);

}  // namespace tensord
