#include "src/glob.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

size_t CountDigits(absl::string_view text) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsDigit) - text.begin());
}

}  // namespace

// Makes the position automaton of a pattern (Glushkov's construction): a fragment knows which
// states it may begin and end with, and joining fragments links the ends of one to the beginnings
// of the next.
class GlobParser {
 public:
  explicit GlobParser(absl::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<Glob> Parse();

 private:
  using States = Glob::States;
  struct Fragment {
    States first;
    States last;
    bool is_optional = true;  // Matches the empty text.
  };
  struct Range {
    uint64_t low = 0;
    uint64_t high = 0;
    size_t width = 0;  // 0: no leading zeros.
    size_t size = 0;   // Bytes of the pattern.
  };

  absl::Status Fail(absl::string_view why) const {
    return MakeError(ErrorReason::kBadRequest,
                     absl::StrCat("pattern ", Quote(pattern_), ": ", why, " at byte ", at_));
  }

  absl::StatusOr<Fragment> Sequence(size_t depth);
  absl::StatusOr<Fragment> Item(size_t depth);
  absl::StatusOr<Fragment> Braces(size_t depth);
  absl::StatusOr<std::optional<Range>> RangeHere() const;
  Fragment Number(const Range& range);
  Fragment Digits(absl::string_view low, absl::string_view high);
  Fragment AnyText();
  Fragment AnyCharacter();
  Fragment Byte(unsigned char low, unsigned char high);
  Fragment Then(Fragment a, const Fragment& b);
  static Fragment Or(Fragment a, const Fragment& b);
  void Link(const States& from, const States& to);
  bool IsFull() const { return glob_.states_.size() > kMaxGlobStates; }
  void FindPrefix();

  const absl::string_view pattern_;
  size_t at_ = 0;
  Glob glob_;
};

GlobParser::Fragment GlobParser::Byte(unsigned char low, unsigned char high) {
  Fragment fragment;
  fragment.is_optional = false;
  const size_t number = glob_.states_.size();
  glob_.states_.push_back({low, high, {}});
  // Beyond the limit the parser gives up before anybody looks.
  if (number < kMaxGlobStates) {
    fragment.first.set(number);
    fragment.last.set(number);
  }
  return fragment;
}

void GlobParser::Link(const States& from, const States& to) {
  for (size_t i = 0; i < std::min(glob_.states_.size(), kMaxGlobStates); ++i) {
    if (from[i]) glob_.states_[i].next |= to;
  }
}

GlobParser::Fragment GlobParser::Then(Fragment a, const Fragment& b) {
  Link(a.last, b.first);
  if (a.is_optional) a.first |= b.first;
  a.last = b.is_optional ? a.last | b.last : b.last;
  a.is_optional = a.is_optional && b.is_optional;
  return a;
}

GlobParser::Fragment GlobParser::Or(Fragment a, const Fragment& b) {
  a.first |= b.first;
  a.last |= b.last;
  a.is_optional = a.is_optional || b.is_optional;
  return a;
}

GlobParser::Fragment GlobParser::AnyText() {
  Fragment any = Byte(0x00, 0xff);
  Link(any.last, any.first);
  any.is_optional = true;
  return any;
}

// A byte that begins a character, and those that go on with it.
GlobParser::Fragment GlobParser::AnyCharacter() {
  Fragment rest = Byte(0x80, 0xbf);
  Link(rest.last, rest.first);
  rest.is_optional = true;
  const Fragment begin = Or(Byte(0x00, 0x7f), Byte(0xc0, 0xff));
  return Then(begin, rest);
}

// The numbers of equally many digits from `low` to `high`: 38 to 142 by first digits is 3 then 8-9,
// or 4-9 then any, and so on.
GlobParser::Fragment GlobParser::Digits(absl::string_view low, absl::string_view high) {
  const auto digit = [](char c) { return static_cast<unsigned char>(c); };
  if (low.size() == 1) return Byte(digit(low[0]), digit(high[0]));
  if (IsFull()) return Fragment();
  const absl::string_view low_rest = low.substr(1);
  const absl::string_view high_rest = high.substr(1);
  const std::string zeros(low_rest.size(), '0');
  const std::string nines(low_rest.size(), '9');
  if (low[0] == high[0] || (low_rest == zeros && high_rest == nines)) {
    return Then(Byte(digit(low[0]), digit(high[0])), Digits(low_rest, high_rest));
  }
  Fragment all = Then(Byte(digit(low[0]), digit(low[0])), Digits(low_rest, nines));
  if (digit(high[0]) - digit(low[0]) > 1) {
    const Fragment between =
        Byte(static_cast<unsigned char>(low[0] + 1), static_cast<unsigned char>(high[0] - 1));
    all = Or(all, Then(between, Digits(zeros, nines)));
  }
  return Or(all, Then(Byte(digit(high[0]), digit(high[0])), Digits(zeros, high_rest)));
}

GlobParser::Fragment GlobParser::Number(const Range& range) {
  const auto pad = [](uint64_t value, size_t width) {
    std::string text = absl::StrCat(value);
    return text.size() < width ? std::string(width - text.size(), '0') + text : text;
  };
  if (range.width > 0) return Digits(pad(range.low, range.width), pad(range.high, range.width));
  std::optional<Fragment> all;
  uint64_t first = range.low;
  for (uint64_t limit = 10; first <= range.high; limit *= 10) {
    if (first >= limit) continue;
    const uint64_t last = std::min(range.high, limit - 1);
    const Fragment some = Digits(absl::StrCat(first), absl::StrCat(last));
    all = all ? Or(*all, some) : some;
    first = last + 1;
  }
  return *all;
}

// "{a..b}" where the parser stands; nullopt for braces without "..".
absl::StatusOr<std::optional<GlobParser::Range>> GlobParser::RangeHere() const {
  const absl::string_view body = pattern_.substr(at_ + 1);
  const size_t low_digits = CountDigits(body);
  if (low_digits == 0 || !absl::StartsWith(body.substr(low_digits), "..")) return std::nullopt;
  const absl::string_view high = body.substr(low_digits + 2);
  const size_t high_digits = CountDigits(high);
  if (high_digits == 0 || !absl::StartsWith(high.substr(high_digits), "}")) {
    return Fail("a range is {NUMBER..NUMBER}");
  }
  Range range;
  const bool is_small = absl::SimpleAtoi(body.substr(0, low_digits), &range.low) &&
                        absl::SimpleAtoi(high.substr(0, high_digits), &range.high) &&
                        range.low <= kMaxGlobNumber && range.high <= kMaxGlobNumber &&
                        std::max(low_digits, high_digits) <= 18;
  if (!is_small) return Fail(absl::StrCat("a range may reach ", kMaxGlobNumber));
  if (range.low > range.high) return Fail("a range goes from the smaller to the larger number");
  const bool is_padded = (body[0] == '0' && low_digits > 1) || (high[0] == '0' && high_digits > 1);
  if (is_padded) range.width = std::max(low_digits, high_digits);
  range.size = low_digits + high_digits + 4;  // The braces and the dots.
  return range;
}

absl::StatusOr<GlobParser::Fragment> GlobParser::Braces(size_t depth) {
  if (depth >= kMaxGlobDepth) {
    return Fail(absl::StrCat("braces nest deeper than ", kMaxGlobDepth));
  }
  TENSORD_ASSIGN_OR_RETURN(const std::optional<Range> range, RangeHere());
  if (range) {
    at_ += range->size;
    return Number(*range);
  }
  const size_t open = at_;
  std::optional<Fragment> all;
  do {
    ++at_;  // The brace or the comma.
    TENSORD_ASSIGN_OR_RETURN(const Fragment one, Sequence(depth + 1));
    all = all ? Or(*all, one) : one;
  } while (at_ < pattern_.size() && pattern_[at_] == ',');
  if (at_ == pattern_.size()) {
    at_ = open;
    return Fail("a brace is never closed; write \\{ for the character itself");
  }
  ++at_;
  return *all;
}

absl::StatusOr<GlobParser::Fragment> GlobParser::Item(size_t depth) {
  switch (pattern_[at_]) {
    case '*':
      // Several in a row are one.
      while (at_ < pattern_.size() && pattern_[at_] == '*') ++at_;
      return AnyText();
    case '?':
      ++at_;
      return AnyCharacter();
    case '{':
      return Braces(depth);
    case '}':
      return Fail("a brace is closed that was never opened; write \\} for the character itself");
    case '\\':
      if (++at_ == pattern_.size()) return Fail("a backslash takes the next character");
      break;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(pattern_[at_++]);
  return Byte(byte, byte);
}

absl::StatusOr<GlobParser::Fragment> GlobParser::Sequence(size_t depth) {
  Fragment all;
  while (at_ < pattern_.size()) {
    if (depth > 0 && (pattern_[at_] == ',' || pattern_[at_] == '}')) break;
    TENSORD_ASSIGN_OR_RETURN(const Fragment next, Item(depth));
    if (IsFull()) return Fail("the pattern is too large");
    all = Then(all, next);
  }
  return all;
}

// Follows the states from the first on while there is no choice.
void GlobParser::FindPrefix() {
  States states = glob_.first_;
  bool may_end = glob_.matches_empty_;
  while (!may_end && states.count() == 1) {
    const size_t only = states._Find_first();
    const Glob::State& state = glob_.states_[only];
    if (state.low != state.high) break;
    glob_.prefix_ += static_cast<char>(state.low);
    may_end = glob_.last_[only];
    states = state.next;
  }
  glob_.is_literal_ = may_end && states.none();
}

absl::StatusOr<Glob> GlobParser::Parse() {
  if (pattern_.size() > kMaxGlobBytes) {
    return MakeError(
        ErrorReason::kBadRequest,
        absl::StrCat("a pattern of ", pattern_.size(), " bytes; the limit is ", kMaxGlobBytes));
  }
  TENSORD_ASSIGN_OR_RETURN(const Fragment all, Sequence(0));
  glob_.first_ = all.first;
  glob_.last_ = all.last;
  glob_.matches_empty_ = all.is_optional;
  FindPrefix();
  return std::move(glob_);
}

absl::StatusOr<Glob> Glob::Parse(absl::string_view pattern) { return GlobParser(pattern).Parse(); }

bool Glob::Matches(absl::string_view name) const {
  if (is_literal_) return name == prefix_;
  if (!absl::StartsWith(name, prefix_)) return false;
  if (name.empty()) return matches_empty_;
  States possible = first_;
  States current;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    current.reset();
    States next;
    for (size_t i = possible._Find_first(); i < states_.size(); i = possible._Find_next(i)) {
      if (byte < states_[i].low || byte > states_[i].high) continue;
      current.set(i);
      next |= states_[i].next;
    }
    if (current.none()) return false;
    possible = next;
  }
  return (current & last_).any();
}

}  // namespace tensord
