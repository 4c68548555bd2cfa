#include "src/name_order.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace tensord {
namespace {

// A name of a group whose names agree before some depth.
struct Item {
  uint64_t key = 0;  // The kKeyBytes from that depth on, as a big-endian number; 0 behind the end.
  absl::string_view name;
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

uint64_t BigEndian(const void* bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes, sizeof(value));
  return std::endian::native == std::endian::big ? value : __builtin_bswap64(value);
}

void SetKey(Item& item, size_t depth) {
  const absl::string_view rest = item.name.substr(depth);
  if (rest.size() >= kKeyBytes) {
    item.key = BigEndian(rest.data());
  } else {
    unsigned char bytes[kKeyBytes] = {};
    std::memcpy(bytes, rest.data(), rest.size());
    item.key = BigEndian(bytes);
  }
  item.rest_bytes = static_cast<uint32_t>(std::min(rest.size(), kKeyBytes + 1));
}

// Sorts the group by its keys, and appends to `groups` what they do not decide.
void SortGroup(std::vector<Item>& items, const Group& group, std::vector<Group>& groups) {
  const auto begin = items.begin() + static_cast<ptrdiff_t>(group.begin);
  const auto end = items.begin() + static_cast<ptrdiff_t>(group.end);
  if (end - begin <= kSmallGroup) {
    std::sort(begin, end, [depth = group.depth](const Item& a, const Item& b) {
      return a.name.substr(depth) < b.name.substr(depth);
    });
    return;
  }
  for (auto item = begin; item != end; ++item) SetKey(*item, group.depth);
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

std::vector<uint32_t> NameOrder(size_t num_names,
                                absl::FunctionRef<absl::string_view(uint32_t)> name) {
  std::vector<uint32_t> order(num_names);
  std::iota(order.begin(), order.end(), 0);
  const auto less = [&name](uint32_t a, uint32_t b) { return name(a) < name(b); };
  if (std::is_sorted(order.begin(), order.end(), less)) return order;

  std::vector<Item> items(num_names);
  for (uint32_t i = 0; i < num_names; ++i) items[i] = {.name = name(i), .index = i};
  // A stack of our own: recursion would go as deep as the names are long.
  std::vector<Group> groups = {{0, num_names, 0}};
  while (!groups.empty()) {
    const Group group = groups.back();
    groups.pop_back();
    SortGroup(items, group, groups);
  }
  std::transform(items.begin(), items.end(), order.begin(),
                 [](const Item& item) { return item.index; });
  return order;
}

}  // namespace tensord
