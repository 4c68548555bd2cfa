#include "src/closest_names.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/escape.h"

namespace tensord {
namespace {

// Cells of edit-distance tables for one question: 4 M take about 8 ms.
constexpr size_t kMaxCells = 4'000'000;
// Names looked at for a common ending; comparing ends is one memcmp each.
constexpr size_t kMaxEndingsChecked = 200'000;
constexpr size_t kMaxComparedBytes = 512;
// Most slips are of one or two letters, and looking for few is quick: those are looked for first.
constexpr size_t kNear = 2;

struct Candidate {
  size_t distance;
  size_t index;
  bool operator<(const Candidate& other) const {
    return std::pair(distance, index) < std::pair(other.distance, other.index);
  }
};

// Cuts what both begin and end with: it does not change the distance.
void StripCommon(absl::string_view& a, absl::string_view& b) {
  const size_t shorter = std::min(a.size(), b.size());
  size_t front = 0;
  while (front < shorter && a[front] == b[front]) ++front;
  a.remove_prefix(front);
  b.remove_prefix(front);
  size_t back = 0;
  while (back < shorter - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
  a.remove_suffix(back);
  b.remove_suffix(back);
}

// Levenshtein's distance, or limit + 1 when it is above `limit`. Only the band of 2 * limit + 1
// cells around the diagonal can hold a smaller one.
size_t EditDistance(absl::string_view a, absl::string_view b, size_t limit, size_t& cells) {
  const size_t gap = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
  if (gap > limit) return limit + 1;
  StripCommon(a, b);
  std::vector<size_t> row(b.size() + 1, limit + 1);
  std::iota(row.begin(), row.begin() + static_cast<ptrdiff_t>(std::min(limit, b.size()) + 1), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    const size_t first = i > limit ? i - limit : 1;
    const size_t last = std::min(b.size(), i + limit);
    size_t diagonal = row[first - 1];
    row[first - 1] = first == 1 ? i : limit + 1;
    size_t best = row[first - 1];
    for (size_t j = first; j <= last; ++j, ++cells) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, diagonal + 1, row[j - 1] + 1, limit + 1});
      best = std::min(best, row[j]);
    }
    if (best > limit) return limit + 1;
  }
  return row[b.size()];
}

// A path forgotten or added in front: "wte.weight" for "transformer.wte.weight".
bool SharesEnding(absl::string_view a, absl::string_view b) {
  if (a.size() < b.size()) std::swap(a, b);
  if (b.empty() || a.size() == b.size() || !absl::EndsWith(a, b)) return false;
  const char before = a[a.size() - b.size() - 1];
  return before == '.' || before == '/';
}

class Search {
 public:
  Search(absl::string_view wanted, absl::FunctionRef<absl::string_view(size_t)> name_at)
      : wanted_(wanted.substr(0, kMaxComparedBytes)), limit_(kNear), name_at_(name_at) {}

  // Looks for names that are less alike, too.
  void Widen() { limit_ = std::max(kNear, wanted_.size() / 3); }

  bool HasFound() const { return !best_.empty(); }
  bool IsExhausted() const { return cells_ >= kMaxCells; }

  void Consider(size_t index) {
    const absl::string_view name = name_at_(index);
    cells_ += 8;  // Looking at a name costs something too.
    if (name.size() > kMaxComparedBytes) return;
    const size_t distance = EditDistance(wanted_, name, limit_, cells_);
    if (distance <= limit_) Add({distance, index});
  }

  void ConsiderEnding(size_t index) {
    const absl::string_view name = name_at_(index);
    if (SharesEnding(name, wanted_)) Add({limit_, index});
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const Candidate& candidate : best_) names.emplace_back(name_at_(candidate.index));
    return names;
  }

 private:
  void Add(Candidate candidate) {
    for (const Candidate& known : best_) {
      if (known.index == candidate.index) return;
    }
    best_.insert(std::upper_bound(best_.begin(), best_.end(), candidate), candidate);
    if (best_.size() > kMaxSuggestions) best_.pop_back();
    // Only nearer ones matter from here on.
    if (best_.size() == kMaxSuggestions) limit_ = best_.back().distance;
  }

  const absl::string_view wanted_;
  size_t limit_;
  const absl::FunctionRef<absl::string_view(size_t)> name_at_;
  size_t cells_ = 0;
  std::vector<Candidate> best_;
};

size_t LowerBound(absl::string_view wanted, size_t count,
                  absl::FunctionRef<absl::string_view(size_t)> name_at) {
  size_t begin = 0;
  size_t end = count;
  while (begin < end) {
    const size_t middle = begin + (end - begin) / 2;
    if (name_at(middle) < wanted) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

}  // namespace

std::vector<std::string> ClosestNames(absl::string_view wanted, size_t count,
                                      absl::FunctionRef<absl::string_view(size_t)> name_at) {
  Search search(wanted, name_at);
  // From where the name would stand outwards: what shares its beginning is looked at first, in case
  // the budget does not reach for all.
  const size_t middle = LowerBound(wanted, count, name_at);
  const auto consider_all = [&] {
    size_t after = middle;
    size_t before = middle;
    while (!search.IsExhausted() && (before > 0 || after < count)) {
      if (before > 0) search.Consider(--before);
      if (after < count) search.Consider(after++);
    }
  };
  consider_all();
  if (search.HasFound()) return search.Names();
  search.Widen();
  for (size_t i = 0; i < std::min(count, kMaxEndingsChecked); ++i) search.ConsiderEnding(i);
  consider_all();
  return search.Names();
}

std::string ShowClosest(const std::vector<std::string>& names) {
  if (names.empty()) return "";
  return absl::StrCat("; closest: ",
                      absl::StrJoin(names, ", ", [](std::string* out, const std::string& name) {
                        absl::StrAppend(out, Quote(name));
                      }));
}

}  // namespace tensord
