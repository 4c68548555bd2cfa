#include "src/header_handler.h"

#include <cmath>
#include <optional>

#include "absl/strings/charconv.h"
#include "absl/strings/str_cat.h"
#include "src/checked_math.h"
#include "src/escape.h"
#include "src/header_reader.h"
#include "src/utf8.h"

namespace tensord {
namespace {

// The header's own object has depth 1, an entry 2.
constexpr int kEntryDepth = 2;

// Nothing but digits, at most 2^64-1; JSON has refused leading zeros already. So no "-0", no "2.0".
std::optional<uint64_t> ParseUint64(absl::string_view text) {
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto shifted = CheckedMul(value, 10);
    const auto sum = shifted ? CheckedAdd(*shifted, static_cast<uint64_t>(c - '0')) : std::nullopt;
    if (!sum) return std::nullopt;
    value = *sum;
  }
  return value;
}

}  // namespace

absl::string_view HeaderHandler::Wanted(State state) {
  switch (state) {
    case State::kStart:
      return "the header must be an object";
    case State::kMetadataValue:
      return "__metadata__ must be an object or null";
    case State::kMetadataString:
      return "a value in __metadata__ must be a string";
    case State::kEntryValue:
      return "the entry must be an object";
    case State::kDtype:
      return "dtype must be a string";
    case State::kShapeValue:
      return "shape must be an array";
    case State::kOffsetsValue:
      return "data_offsets must be an array";
    case State::kShape:
      return "shape must hold integers from 0 to 2^64-1";
    case State::kOffsets:
      return "data_offsets must hold integers from 0 to 2^64-1";
    default:
      return "unexpected value";
  }
}

bool HeaderHandler::Fail(absl::string_view problem) {
  error_ = in_entry_ ? absl::StrCat("tensor ", Quote(header_.Text(tensor_.name)), ": ", problem)
                     : std::string(problem);
  return false;
}

bool HeaderHandler::Unexpected(absl::string_view got) {
  return Fail(absl::StrCat(Wanted(state_), ", got ", got));
}

bool HeaderHandler::Null() {
  if (state_ == State::kUnknown) return UnknownScalar();
  if (state_ != State::kMetadataValue) return Unexpected("null");
  state_ = State::kHeader;
  return true;
}

bool HeaderHandler::Bool(bool value) {
  return state_ == State::kUnknown ? UnknownScalar() : Unexpected(value ? "true" : "false");
}

bool HeaderHandler::RawNumber(const char* text, rapidjson::SizeType size, bool /*copy*/) {
  const absl::string_view number(text, size);
  if (state_ == State::kUnknown) return CheckUnknownNumber(number) && UnknownScalar();
  if (state_ != State::kShape && state_ != State::kOffsets) return Unexpected("a number");
  const std::optional<uint64_t> value = ParseUint64(number);
  if (!value) return Unexpected(Escape(number.substr(0, kMaxShownBytes)));
  return state_ == State::kShape ? AddDimension(*value, text) : AddOffset(*value);
}

bool HeaderHandler::String(const char* text, rapidjson::SizeType size, bool /*copy*/) {
  const absl::string_view value(text, size);
  if (!CheckText(value)) return false;
  if (state_ == State::kUnknown) return UnknownScalar();
  if (state_ == State::kMetadataString) {
    header_.metadata.back().value = Span(value);
    state_ = State::kMetadata;
    return true;
  }
  if (state_ != State::kDtype) return Unexpected("a string");
  const std::optional<Dtype> dtype = ParseDtype(value);
  if (!dtype) return Fail(absl::StrCat("unknown dtype ", Quote(value)));
  tensor_.dtype = *dtype;
  state_ = State::kEntry;
  return true;
}

bool HeaderHandler::StartObject() {
  if (++depth_ > kMaxJsonDepth) return Fail("nested too deeply");
  switch (state_) {
    case State::kStart:
      state_ = State::kHeader;
      return true;
    case State::kMetadataValue:
      header_.has_metadata = true;
      state_ = State::kMetadata;
      return true;
    case State::kEntryValue:
      state_ = State::kEntry;
      return true;
    case State::kUnknown:
      return true;
    default:
      return Unexpected("an object");
  }
}

bool HeaderHandler::Key(const char* text, rapidjson::SizeType size, bool /*copy*/) {
  const absl::string_view key(text, size);
  if (!CheckText(key)) return false;
  switch (state_) {
    case State::kHeader:
      return HeaderKey(key);
    case State::kMetadata:
      header_.metadata.push_back({Span(key), {}});
      state_ = State::kMetadataString;
      return true;
    case State::kEntry:
      return EntryKey(key);
    default:
      return true;  // Within an unknown value.
  }
}

bool HeaderHandler::EndObject(rapidjson::SizeType /*num_members*/) {
  --depth_;
  switch (state_) {
    case State::kHeader:
      state_ = State::kDone;
      return true;
    case State::kMetadata:
      state_ = State::kHeader;
      return true;
    case State::kEntry:
      return FinishEntry();
    default:
      return UnknownScalar();
  }
}

bool HeaderHandler::StartArray() {
  if (++depth_ > kMaxJsonDepth) return Fail("nested too deeply");
  switch (state_) {
    case State::kShapeValue:
      state_ = State::kShape;
      return true;
    case State::kOffsetsValue:
      state_ = State::kOffsets;
      return true;
    case State::kUnknown:
      return true;
    default:
      return Unexpected("an array");
  }
}

bool HeaderHandler::EndArray(rapidjson::SizeType /*num_elements*/) {
  --depth_;
  switch (state_) {
    case State::kShape:
      state_ = State::kEntry;
      return true;
    case State::kOffsets:
      return FinishOffsets();
    default:
      return UnknownScalar();
  }
}

// A `\udc00` without its other half decodes to bytes that are not UTF-8: RapidJSON lets it pass.
bool HeaderHandler::CheckText(absl::string_view text) {
  if (!has_escapes_ || IsValidUtf8(text)) return true;
  return Fail(absl::StrCat("lone surrogate escape in string ", Quote(text)));
}

// The reference keeps unknown numbers as doubles and gives up where one is too large. (It takes one
// that is too small for zero.)
bool HeaderHandler::CheckUnknownNumber(absl::string_view text) {
  double value = 0;
  const auto result = absl::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc::result_out_of_range || std::abs(value) < 1) return true;
  return Fail(absl::StrCat("number out of range: ", text.substr(0, kMaxShownBytes)));
}

bool HeaderHandler::UnknownScalar() {
  if (depth_ == kEntryDepth) state_ = State::kEntry;
  return true;
}

bool HeaderHandler::HeaderKey(absl::string_view name) {
  if (name == "__metadata__") {
    if (seen_metadata_) return Fail("__metadata__ stands twice");
    seen_metadata_ = true;
    state_ = State::kMetadataValue;
    return true;
  }
  tensor_ = {};
  tensor_.name = Span(name);
  in_entry_ = true;
  seen_dtype_ = seen_shape_ = seen_offsets_ = false;
  num_offsets_ = 0;
  state_ = State::kEntryValue;
  return true;
}

bool HeaderHandler::EntryKey(absl::string_view key) {
  if (key == "dtype") return EntryMember(seen_dtype_, key, State::kDtype);
  if (key == "shape") return EntryMember(seen_shape_, key, State::kShapeValue);
  if (key == "data_offsets") return EntryMember(seen_offsets_, key, State::kOffsetsValue);
  state_ = State::kUnknown;
  return true;
}

bool HeaderHandler::EntryMember(bool& seen, absl::string_view key, State next) {
  if (seen) return Fail(absl::StrCat(key, " stands twice"));
  seen = true;
  state_ = next;
  return true;
}

bool HeaderHandler::FinishEntry() {
  if (!seen_dtype_) return Fail("dtype is missing");
  if (!seen_shape_) return Fail("shape is missing");
  if (!seen_offsets_) return Fail("data_offsets is missing");
  header_.tensors.push_back(tensor_);
  in_entry_ = false;
  state_ = State::kHeader;
  return true;
}

bool HeaderHandler::FinishOffsets() {
  if (num_offsets_ != 2)
    return Fail(absl::StrCat("data_offsets has ", num_offsets_, " of 2 items"));
  state_ = State::kEntry;
  return true;
}

bool HeaderHandler::AddDimension(uint64_t extent, const char* text) {
  if (tensor_.rank++ == 0) tensor_.shape_offset = static_cast<uint32_t>(text - header_.text.get());
  const auto product = CheckedMul(tensor_.num_elements, extent);
  tensor_.elements_overflow |= !product;
  tensor_.num_elements = product.value_or(0);
  return true;
}

bool HeaderHandler::AddOffset(uint64_t offset) {
  if (++num_offsets_ > 2) return Fail("data_offsets has more than 2 items");
  (num_offsets_ == 1 ? tensor_.begin : tensor_.end) = offset;
  return true;
}

TextSpan HeaderHandler::Span(absl::string_view text) const {
  return {static_cast<uint32_t>(text.data() - header_.text.get()),
          static_cast<uint32_t>(text.size())};
}

}  // namespace tensord
