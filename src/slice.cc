#include "tensord/slice.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/error.h"
#include "src/escape.h"
#include "src/status_macros.h"
#include "src/utf8.h"

namespace tensord {
namespace {

bool IsWordByte(char c) { return absl::ascii_isalnum(c) || c == '_'; }

// Reads one slice text from left to right; `position_` never leaves it.
class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text) {}

  absl::StatusOr<Slice> Run() {
    bracketed_ = Consume("[");
    TENSORD_RETURN_IF_ERROR(ParseEntries());
    if (bracketed_ && !Consume("]")) return Expected(AfterEntry());
    SkipSpace();
    if (position_ < text_.size()) {
      return Expected(bracketed_ ? "the end" : AfterEntry());
    }
    return std::move(slice_);
  }

 private:
  // One entry must follow each comma but a trailing one.
  absl::Status ParseEntries() {
    if (AtClose()) return absl::OkStatus();
    do {
      TENSORD_RETURN_IF_ERROR(ParseEntry());
    } while (Consume(",") && !AtClose());
    return absl::OkStatus();
  }

  absl::Status ParseEntry() {
    SkipSpace();
    if (absl::StartsWith(Rest(), "...")) {
      if (slice_.ellipsis) return Expected("at most one '...' in a slice");
      slice_.ellipsis = slice_.dims.size();
      position_ += 3;
      after_entry_ = "','";
      return absl::OkStatus();
    }
    TENSORD_ASSIGN_OR_RETURN(const std::optional<int64_t> start, ParseInteger());
    if (Consume(":")) return ParseRange(start);
    if (!start) return Expected(EntryStart());
    after_entry_ = "':', ','";
    slice_.dims.emplace_back(DimIndex{*start});
    return absl::OkStatus();
  }

  // What follows the first colon.
  absl::Status ParseRange(std::optional<int64_t> start) {
    DimRange range;
    range.start = start;
    after_entry_ = "an integer, ':', ','";
    TENSORD_ASSIGN_OR_RETURN(range.stop, ParseInteger());
    if (range.stop) after_entry_ = "':', ','";
    if (Consume(":")) {
      TENSORD_ASSIGN_OR_RETURN(range.step, ParseInteger());
      after_entry_ = range.step ? "','" : "an integer, ','";
    }
    slice_.dims.emplace_back(range);
    return absl::OkStatus();
  }

  // nullopt when no integer stands here. A sign must be followed by digits.
  absl::StatusOr<std::optional<int64_t>> ParseInteger() {
    SkipSpace();
    const size_t begin = position_;
    const bool is_negative = absl::StartsWith(Rest(), "-");
    if (is_negative || absl::StartsWith(Rest(), "+")) ++position_;
    const size_t digits = position_;
    // Counted downwards, because the smallest integer has no positive twin.
    int64_t value = 0;
    bool fits = true;
    for (; position_ < text_.size() && absl::ascii_isdigit(text_[position_]); ++position_) {
      fits = fits && !__builtin_mul_overflow(value, int64_t{10}, &value) &&
             !__builtin_sub_overflow(value, int64_t{text_[position_] - '0'}, &value);
    }
    if (position_ == digits) {
      if (digits != begin) return Expected("digits after the sign");
      return std::optional<int64_t>();
    }
    if (!fits || (!is_negative && value == std::numeric_limits<int64_t>::min())) {
      return Fault(begin, "an integer that fits 64 bits",
                   Quote(text_.substr(begin, position_ - begin)));
    }
    return std::optional<int64_t>(is_negative ? value : -value);
  }

  void SkipSpace() {
    while (position_ < text_.size() && absl::ascii_isspace(text_[position_])) ++position_;
  }

  bool Consume(absl::string_view token) {
    SkipSpace();
    if (!absl::StartsWith(Rest(), token)) return false;
    position_ += token.size();
    return true;
  }

  bool AtClose() {
    SkipSpace();
    return bracketed_ ? absl::StartsWith(Rest(), "]") : position_ == text_.size();
  }

  absl::string_view Rest() const { return text_.substr(position_); }

  // The word or character at the fault.
  std::string Got() const {
    if (position_ == text_.size()) return "the end";
    size_t size_bytes = 0;
    while (size_bytes < Rest().size() && IsWordByte(Rest()[size_bytes])) ++size_bytes;
    if (size_bytes == 0) size_bytes = std::max<size_t>(1, DecodeUtf8(Rest()).size_bytes);
    return Quote(Rest().substr(0, size_bytes));
  }

  std::string Close() const { return bracketed_ ? "']'" : "the end"; }
  // A slice may close at once, but not between two commas.
  std::string EntryStart() const {
    const bool is_first = slice_.dims.empty() && !slice_.ellipsis;
    return is_first ? absl::StrCat("an integer, ':', '...' or ", Close())
                    : "an integer, ':' or '...'";
  }
  std::string AfterEntry() const { return absl::StrCat(after_entry_, " or ", Close()); }

  absl::Status Expected(absl::string_view expected) {
    SkipSpace();
    return Fault(position_, expected, Got());
  }

  absl::Status Fault(size_t position, absl::string_view expected, absl::string_view got) const {
    return MakeError(ErrorReason::kBadSlice,
                     absl::StrCat("slice ", Quote(text_), ": position ", position, ": expected ",
                                  expected, ", got ", got),
                     {{"position", absl::StrCat(position)}});
  }

  const absl::string_view text_;
  size_t position_ = 0;
  bool bracketed_ = false;
  absl::string_view after_entry_ = "','";  // What else may follow the last entry, for messages.
  Slice slice_;
};

std::string RangeText(const DimRange& range) {
  std::string text;
  if (range.start) absl::StrAppend(&text, *range.start);
  text += ':';
  if (range.stop) absl::StrAppend(&text, *range.stop);
  if (range.step) absl::StrAppend(&text, ":", *range.step);
  return text;
}

struct DimText {
  std::string operator()(const DimIndex& index) const { return absl::StrCat(index.index); }
  std::string operator()(const DimRange& range) const { return RangeText(range); }
  std::string operator()(const DimRanges& list) const {
    const auto append = [](std::string* out, const DimRange& range) { *out += RangeText(range); };
    return absl::StrCat("{", absl::StrJoin(list.ranges, ", ", append), "}");
  }
  std::string operator()(const Shard& shard) const {
    std::string text = absl::StrCat("shard(", shard.index, "/", shard.count);
    if (shard.multiple > 1) absl::StrAppend(&text, ", multiple ", shard.multiple);
    if (shard.padded_size > 0) absl::StrAppend(&text, ", padded to ", shard.padded_size);
    if (shard.allow_uneven) absl::StrAppend(&text, ", uneven");
    return absl::StrCat(text, ")");
  }
};

}  // namespace

absl::StatusOr<Slice> Slice::Parse(absl::string_view text) {
  if (text.size() > kMaxSliceTextBytes) {
    return MakeError(ErrorReason::kBadSlice,
                     absl::StrCat("slice ", Quote(text), ": expected at most ", kMaxSliceTextBytes,
                                  " bytes, got ", text.size()),
                     {{"position", absl::StrCat(kMaxSliceTextBytes)}});
  }
  return Parser(text).Run();
}

std::string Slice::ToString() const {
  std::vector<std::string> entries;
  entries.reserve(dims.size() + 1);
  for (const Dim& dim : dims) entries.push_back(std::visit(DimText(), dim));
  if (ellipsis) entries.insert(entries.begin() + std::min(*ellipsis, dims.size()), "...");
  return absl::StrCat("[", absl::StrJoin(entries, ", "), "]");
}

}  // namespace tensord
