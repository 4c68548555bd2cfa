// Patterns over names: `*`, `?`, `{a..b}`, `{x,y}`.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tensord {

inline constexpr size_t kMaxGlobBytes = 1024;
// Positions of the automaton: about one a byte, and up to ten a digit for a range. One set of them
// is 8 words, so that matching stays linear in the name.
inline constexpr size_t kMaxGlobStates = 512;
inline constexpr size_t kMaxGlobDepth = 16;
// Nine digits, so that bounds fit 32 bits.
inline constexpr uint64_t kMaxGlobNumber = 999'999'999;

// A value; immutable and thread-safe. `*` matches any text, `/` and `.` included, because names are
// no paths; `?` one character; `{8..12}` a decimal number in the range without leading zeros, or
// with as many digits as the bounds where one of them is written with a leading zero, as in
// `{001..163}`; `{x,y}` either pattern, nested as one likes; a backslash takes the next character
// literally. Everything else is itself, case-sensitive. Matching costs at most kMaxGlobStates / 64
// words a state and byte, whatever the pattern.
class Glob {
 public:
  // BAD_REQUEST names the position of the fault: a brace without its partner, a range that is no
  // range, a backslash at the end, a limit above.
  static absl::StatusOr<Glob> Parse(absl::string_view pattern);

  // Whether the whole of `name`, valid UTF-8, matches.
  bool Matches(absl::string_view name) const;

 private:
  friend class GlobParser;
  using States = std::bitset<kMaxGlobStates>;

  // Consumes one byte in [low, high]; any of `next` may come then.
  struct State {
    unsigned char low = 0;
    unsigned char high = 0;
    States next;
  };

  Glob() = default;

  std::string prefix_;       // What every match begins with: most names fail here.
  bool is_literal_ = false;  // prefix_ is all there is.
  std::vector<State> states_;
  States first_;
  States last_;  // States after which a match may end.
  bool matches_empty_ = false;
};

}  // namespace tensord
