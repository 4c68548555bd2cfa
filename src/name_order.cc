#include "src/name_order.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace tensord {
namespace {

using NameOf = absl::FunctionRef<absl::string_view(uint32_t)>;

// A name of a group whose names agree before some depth.
struct Item {
  uint64_t key = 0;  // The kKeyBytes from that depth on, as a big-endian number; 0 behind the end.
  uint32_t index = 0;
  uint32_t rest_bytes = 0;  // From that depth on; what exceeds kKeyBytes counts as one more.
};

constexpr size_t kKeyBytes = sizeof(Item::key);
// Below this, comparing whole names is quicker than another round of keys.
constexpr ptrdiff_t kSmallGroup = 16;

// Items [begin, end), whose names agree in the first `depth` bytes.
struct Group {
  size_t begin = 0;
  size_t end = 0;
  size_t depth = 0;
};

bool Less(const Item& a, const Item& b) {
  return a.key != b.key ? a.key < b.key : a.rest_bytes < b.rest_bytes;
}

bool SameKey(const Item& a, const Item& b) {
  return a.key == b.key && a.rest_bytes == b.rest_bytes;
}

void SetKey(Item& item, absl::string_view name, size_t depth) {
  const absl::string_view rest = name.substr(depth);
  unsigned char bytes[kKeyBytes] = {};
  std::memcpy(bytes, rest.data(), std::min(rest.size(), kKeyBytes));
  item.key = 0;
  for (const unsigned char byte : bytes) item.key = item.key << 8 | byte;
  item.rest_bytes = static_cast<uint32_t>(std::min(rest.size(), kKeyBytes + 1));
}

// Sorts the group by its keys, and appends to `groups` what they do not decide.
void SortGroup(std::vector<Item>& items, const Group& group, NameOf name,
               std::vector<Group>& groups) {
  const auto begin = items.begin() + static_cast<ptrdiff_t>(group.begin);
  const auto end = items.begin() + static_cast<ptrdiff_t>(group.end);
  if (end - begin <= kSmallGroup) {
    std::sort(begin, end, [&name, depth = group.depth](const Item& a, const Item& b) {
      return name(a.index).substr(depth) < name(b.index).substr(depth);
    });
    return;
  }
  for (auto item = begin; item != end; ++item) SetKey(*item, name(item->index), group.depth);
  if (!std::is_sorted(begin, end, Less)) std::sort(begin, end, Less);
  for (auto first = begin; first != end;) {
    const auto last =
        std::find_if_not(first, end, [&first](const Item& item) { return SameKey(*first, item); });
    if (last - first > 1 && first->rest_bytes > kKeyBytes) {
      groups.push_back({static_cast<size_t>(first - items.begin()),
                        static_cast<size_t>(last - items.begin()), group.depth + kKeyBytes});
    }
    first = last;
  }
}

}  // namespace

std::vector<uint32_t> NameOrder(size_t num_names, NameOf name) {
  std::vector<uint32_t> order(num_names);
  std::iota(order.begin(), order.end(), 0);
  const auto less = [&name](uint32_t a, uint32_t b) { return name(a) < name(b); };
  if (std::is_sorted(order.begin(), order.end(), less)) return order;

  std::vector<Item> items(num_names);
  for (size_t i = 0; i < num_names; ++i) items[i].index = static_cast<uint32_t>(i);
  // A stack of our own: recursion would go as deep as the names are long.
  std::vector<Group> groups = {{0, num_names, 0}};
  while (!groups.empty()) {
    const Group group = groups.back();
    groups.pop_back();
    SortGroup(items, group, name, groups);
  }
  std::transform(items.begin(), items.end(), order.begin(),
                 [](const Item& item) { return item.index; });
  return order;
}

}  // namespace tensord
