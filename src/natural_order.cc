#include "src/natural_order.h"

#include <algorithm>
#include <cstddef>

namespace tensord {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes the run of digits at the front, without leading zeros.
absl::string_view TakeNumber(absl::string_view& text) {
  size_t end = 0;
  while (end < text.size() && IsDigit(text[end])) ++end;
  absl::string_view number = text.substr(0, end);
  text.remove_prefix(end);
  while (!number.empty() && number[0] == '0') number.remove_prefix(1);
  return number;
}

int CompareNumbers(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

}  // namespace

int CompareNatural(absl::string_view a, absl::string_view b) {
  // Names of one model share long beginnings: go on from the number that the first difference may
  // lie in.
  size_t same = static_cast<size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<ptrdiff_t>(std::min(a.size(), b.size())),
                    b.begin())
          .first -
      a.begin());
  while (same > 0 && IsDigit(a[same - 1])) --same;
  absl::string_view rest_a = a.substr(same);
  absl::string_view rest_b = b.substr(same);
  while (!rest_a.empty() && !rest_b.empty()) {
    if (IsDigit(rest_a[0]) && IsDigit(rest_b[0])) {
      const int order = CompareNumbers(TakeNumber(rest_a), TakeNumber(rest_b));
      if (order != 0) return order;
      continue;
    }
    if (rest_a[0] != rest_b[0]) {
      return static_cast<unsigned char>(rest_a[0]) < static_cast<unsigned char>(rest_b[0]) ? -1 : 1;
    }
    rest_a.remove_prefix(1);
    rest_b.remove_prefix(1);
  }
  if (rest_a.empty() != rest_b.empty()) return rest_a.empty() ? -1 : 1;
  return a.compare(b);
}

}  // namespace tensord
