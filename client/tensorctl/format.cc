#include "client/tensorctl/format.h"

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace tensord::ctl {
namespace {

// The first unit in which `value` stays below `base` when rounded to one decimal.
std::string Scale(uint64_t value, double base, absl::Span<const char* const> units) {
  if (static_cast<double>(value) < base) return absl::StrCat(value, units[0]);
  double scaled = static_cast<double>(value);
  size_t unit = 0;
  // 0.05 below the base already prints as the base: 1023.96 KiB is "1.0 MiB".
  while (unit + 1 < units.size() && (unit == 0 ? scaled >= base : scaled >= base - 0.05)) {
    scaled /= base;
    ++unit;
  }
  return absl::StrFormat("%.1f%s", scaled, units[unit]);
}

}  // namespace

std::string HumanSize(uint64_t bytes) {
  static constexpr const char* kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
  return Scale(bytes, 1024, kUnits);
}

std::string HumanCount(uint64_t count) {
  static constexpr const char* kUnits[] = {"", "k", "M", "B", "T", "P", "E"};
  return Scale(count, 1000, kUnits);
}

std::string ShapeText(absl::Span<const uint64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

std::string Plural(uint64_t count, const std::string& noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

}  // namespace tensord::ctl
